use super::*;
use holdfast_domain::source::EngineChoice;

fn relation(oid: u32, schema: &str, name: &str, kind: char, parents: &[u32]) -> Relation {
    Relation {
        oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind,
        size: 0,
        readable: true,
        filtered: false,
        is_partition: kind == 'r' && !parents.is_empty(),
        parents: parents.to_vec(),
    }
}

fn spec(tables: &[&str], rows: &[&str]) -> DatabaseSpec {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    DatabaseSpec {
        engine: EngineChoice::Postgresql,
        databases: Vec::new(),
        excluded_tables: owned(tables),
        excluded_table_data: owned(rows),
        host: None,
        port: None,
        username: None,
        globals: None,
        path: None,
    }
}

fn gone(tables: &[&str], is_alone: bool, relations: &[Relation]) -> Vec<u32> {
    let spec = spec(tables, &[]);
    Selection::choose(&spec, "db", is_alone, relations, &mut Matched::default()).gone.into_iter().collect()
}

#[test]
fn names_are_compared_as_they_are() {
    let relations = [
        relation(1, "public", "a", 'r', &[]),
        relation(2, "other", "a", 'r', &[]),
        relation(3, "public", "other.a", 'r', &[]),
        relation(4, "public", "*", 'r', &[]),
        relation(5, "public", "-T \"x\"\n", 'r', &[]),
    ];
    assert_eq!(gone(&["a"], true, &relations), [1]);
    assert_eq!(gone(&["db.a"], false, &relations), [1]);
    assert_eq!(gone(&["db.other.a"], false, &relations), [2, 3]);
    assert_eq!(gone(&["other.a"], false, &relations), [3]);
    assert_eq!(gone(&["other.a"], true, &relations), [2, 3]);
    assert_eq!(gone(&["*", "*.*", "db.*", "A", "%"], true, &relations), [4]);
    assert_eq!(gone(&["-T \"x\"\n"], true, &relations), [5]);
    let omitted = Selection::choose(&spec(&["-T \"x\"\n"], &["*"]), "db", true, &relations, &mut Matched::default())
        .omit(&relations, &[]);
    assert_eq!(
        options(&omitted),
        ["--exclude-table-data=\"public\".\"*\"", "--exclude-table=\"public\".\"-T \"\"x\"\"\n\""]
    );
}

#[test]
fn what_matches_nothing_is_said_once_for_all_databases() {
    let relations = [relation(1, "public", "a", 'r', &[])];
    let (spec, mut matched, mut warnings) = (spec(&["a", "b"], &["c"]), Matched::default(), Warnings::default());
    Selection::choose(&spec, "one", false, &relations, &mut matched);
    Selection::choose(&spec, "two", false, &[], &mut matched);
    matched.warn(&spec, &mut warnings);
    let said: Vec<_> = warnings.kept.iter().map(|w| (w.code, w.path.as_deref().unwrap_or_default())).collect();
    assert_eq!(said, [(WarningCode::MatchesNothing, "b"), (WarningCode::MatchesNothing, "c")]);
}

#[test]
fn partitions_children_and_own_sequences_go_with_their_table() {
    let relations = [
        relation(1, "public", "p", 'p', &[]),
        relation(2, "public", "p1", 'p', &[1]),
        relation(3, "public", "p1a", 'r', &[2]),
        relation(4, "public", "s", 'S', &[1]),
        relation(5, "public", "other", 'r', &[]),
    ];
    let partitioned = |mut list: [Relation; 5]| {
        list[1].is_partition = true;
        list
    };
    let relations = partitioned(relations);
    let mut matched = Matched::default();
    let chosen = Selection::choose(&spec(&["p"], &[]), "db", true, &relations, &mut matched);
    assert_eq!(chosen.gone, [1, 2, 3].into());
    assert_eq!(chosen.tables(&relations), 1);
    // Only a part's rows are left out: the whole's are not complete.
    let chosen = Selection::choose(&spec(&[], &["p1"]), "db", true, &relations, &mut matched);
    assert_eq!((chosen.rowless, chosen.emptied), ([2, 3].into(), [1, 2, 3].into()));
}

#[test]
fn what_stays_must_be_readable_and_something_must_stay() {
    let mut relations = [
        relation(1, "public", "a", 'r', &[]),
        relation(2, "s", "b", 'r', &[]),
        relation(3, "s", "b_id_seq", 'S', &[2]),
    ];
    (relations[1].readable, relations[2].readable) = (false, false);
    let check = |tables: &[&str], rows: &[&str], relations: &[Relation]| {
        let spec = spec(tables, rows);
        let chosen = Selection::choose(&spec, "db", true, relations, &mut Matched::default());
        chosen.check("db", relations).map_err(|failure| (failure.code, failure.detail))
    };
    let (code, detail) = check(&[], &[], &relations).unwrap_err();
    assert_eq!(code, FailureCode::MissingRight);
    assert!(detail.contains("s.b of database db"), "{detail}");
    // Its definition would have to be read all the same.
    assert_eq!(check(&[], &["s.b"], &relations).unwrap_err().0, FailureCode::MissingRight);
    assert_eq!(check(&["s.b"], &[], &relations), Ok(()));
    assert_eq!(check(&["s.b", "a"], &[], &relations).unwrap_err().0, FailureCode::InvalidConfig);
    assert_eq!(check(&[], &[], &[]), Ok(()));
    relations[1].readable = true;
    relations[2].readable = true;
    relations[1].filtered = true;
    assert!(check(&[], &[], &relations).unwrap_err().1.contains("BYPASSRLS"));
    assert_eq!(check(&[], &["s.b"], &relations), Ok(()));
}
