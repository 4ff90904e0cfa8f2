//! What is left out, what that leaves without ground, and that the rest comes back.

use super::{Customer, Dumped, said, spec, target};
use holdfast_domain::manifest::OmittedKind;
use holdfast_domain::warning::WarningCode::{DependsOnExcluded, MatchesNothing};

const TANGLED: &str = "
    CREATE TABLE gone (id int PRIMARY KEY, v text); INSERT INTO gone VALUES (1, 'secret');
    CREATE TABLE gone_child (extra int) INHERITS (gone);
    CREATE TABLE emptied (id int PRIMARY KEY); INSERT INTO emptied VALUES (1), (2);
    CREATE TABLE ref (id int CONSTRAINT to_gone REFERENCES gone, e int CONSTRAINT to_emptied REFERENCES emptied);
    INSERT INTO ref VALUES (1, 1), (NULL, 2);
    COMMENT ON CONSTRAINT to_gone ON ref IS 'goes with it';
    CREATE VIEW v1 AS SELECT id FROM gone; CREATE VIEW v2 AS SELECT * FROM v1;
    CREATE MATERIALIZED VIEW m3 AS SELECT * FROM v2; CREATE INDEX ON m3 (id);
    CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM v2; END;
    COMMENT ON FUNCTION f() IS 'goes too'; GRANT EXECUTE ON FUNCTION f() TO PUBLIC;
    CREATE RULE r AS ON INSERT TO emptied DO ALSO INSERT INTO gone VALUES (new.id, 'x');
    CREATE POLICY p ON ref USING (EXISTS (SELECT FROM gone));
    CREATE VIEW stays AS SELECT * FROM emptied;
    CREATE TABLE parts (a int PRIMARY KEY) PARTITION BY RANGE (a);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20); INSERT INTO parts VALUES (1), (11);
    CREATE TABLE to_parts (a int CONSTRAINT to_parts REFERENCES parts); INSERT INTO to_parts VALUES (1), (11);";

async fn tangled(customer: &Customer, tables: &[&str], rows: &[&str]) -> Dumped {
    let mut spec = spec(&["tangled"]);
    spec.excluded_tables = tables.iter().map(|name| (*name).to_owned()).collect();
    spec.excluded_table_data = rows.iter().map(|name| (*name).to_owned()).collect();
    customer.dump(&spec).await.unwrap()
}

#[tokio::test]
async fn dependents_are_found_named_and_left_out_of_the_restore() {
    let customer = Customer::new().await;
    customer.database("tangled", TANGLED).await;
    let dumped = tangled(&customer, &["gone", "nobody"], &["tangled.emptied", "public.parts_2"]).await;
    assert!(!dumped.bytes.windows(6).any(|window| window == b"secret"));
    let mut warned = said(&dumped.plan.warnings);
    warned.sort_by(|one, other| one.1.cmp(&other.1));
    let named: Vec<_> = warned.iter().map(|(code, path)| (*code, path.as_str())).collect();
    assert_eq!(
        named,
        [
            (MatchesNothing, "nobody"),
            (DependsOnExcluded, "tangled.function public.f()"),
            (DependsOnExcluded, "tangled.policy p on table public.ref"),
            (DependsOnExcluded, "tangled.public.gone_child"),
            (DependsOnExcluded, "tangled.public.m3"),
            (DependsOnExcluded, "tangled.public.ref.to_emptied"),
            (DependsOnExcluded, "tangled.public.ref.to_gone"),
            (DependsOnExcluded, "tangled.public.to_parts.to_parts"),
            (DependsOnExcluded, "tangled.public.v1"),
            (DependsOnExcluded, "tangled.public.v2"),
            (DependsOnExcluded, "tangled.rule r on table public.emptied"),
        ]
    );
    let facts = dumped.facts();
    let kinds = |kind| facts.omitted.iter().filter(|one| one.kind == kind).count();
    use OmittedKind::{ForeignKey, Other, Rows, Table, View};
    assert_eq!([Table, Rows, View, ForeignKey, Other].map(kinds), [2, 2, 3, 3, 3]);
    let restored = customer.restore(&target("back", &facts), &dumped.bytes).await.unwrap();
    assert_eq!((restored.entries, facts.tables), (6, 6));
    assert_eq!(restored.warnings.count, 9, "{:?}", restored.warnings);
    let count = "SELECT (SELECT count(*) FROM ref), (SELECT count(*) FROM emptied), (SELECT count(*) FROM parts), \
                 (SELECT count(*) FROM to_parts), (SELECT count(*) FROM stays)";
    assert_eq!(customer.ask("back", count).await, "2|0|1|2|0");
    let left = "SELECT count(*) FROM pg_class WHERE relname ~ '^(gone|v1|v2|m3)' UNION ALL \
                SELECT count(*) FROM pg_constraint WHERE contype = 'f' UNION ALL SELECT count(*) FROM pg_proc WHERE proname = 'f'";
    assert_eq!(customer.ask("back", left).await, "0\n0\n0");
}

#[tokio::test]
async fn names_are_no_patterns_and_no_options() {
    let customer = Customer::new().await;
    let odd = ["*", "--file=/tmp/holdfast-x", "a\"b", "new\nline", "dot.ted", "UPPER", "sp ace", "$x|(y)?", "plain"];
    let made: Vec<_> = odd
        .iter()
        .map(|name| format!("CREATE TABLE {} AS SELECT 1 AS a;", holdfast_testbed::customer_postgres::identifier(name)))
        .collect();
    customer.database("tangled", &made.concat()).await;
    for (at, name) in odd.iter().enumerate() {
        let dumped = tangled(&customer, &[name], &[odd[(at + 1) % odd.len()]]).await;
        assert!(dumped.plan.warnings.is_empty(), "{name:?}: {:?}", dumped.plan.warnings);
        let back = format!("back{at}");
        let restored = customer.restore(&target(&back, &dumped.facts()), &dumped.bytes).await.unwrap();
        assert_eq!(restored.entries, odd.len() as u64 - 1, "{name:?}");
        let rows = "SELECT string_agg(c::text, '') FROM (SELECT (xpath('//c/text()', query_to_xml(format('SELECT count(*) \
                    AS c FROM %I', relname), false, true, '')))[1] AS c FROM pg_class WHERE relkind = 'r' AND oid >= 16384) x";
        let rows = customer.ask(&back, rows).await;
        assert_eq!((rows.matches('1').count(), rows.matches('0').count()), (odd.len() - 2, 1), "{name:?}");
    }
    assert!(!std::path::Path::new("/tmp/holdfast-x").exists());
}

#[tokio::test]
async fn leaving_out_everything_is_refused_and_patterns_leave_out_nothing() {
    let customer = Customer::new().await;
    customer.database("tangled", "CREATE TABLE a (x int); CREATE TABLE b (x int)").await;
    let mut all = spec(&["tangled"]);
    all.excluded_tables = vec!["a".to_owned(), "public.b".to_owned()];
    let failure = customer.plan(&all).await.err().unwrap();
    assert_eq!(failure.code.as_str(), "invalid_config", "{failure}");
    let dumped = tangled(&customer, &["*.*", "*", "a,b", "\"a\"", "A", "public.\"*\"", "a --schema-only"], &[]).await;
    assert_eq!(said(&dumped.plan.warnings).len(), 7);
    assert_eq!((dumped.facts().tables, dumped.facts().omitted.len()), (2, 0));
    // A database without a table is one, too.
    customer.server.create_database("empty").await.unwrap();
    let empty = customer.dump(&spec(&["empty"])).await.unwrap();
    customer.restore(&target("empty back", &empty.facts()), &empty.bytes).await.unwrap();
}
