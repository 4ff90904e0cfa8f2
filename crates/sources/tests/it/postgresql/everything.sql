CREATE EXTENSION hstore;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION citext;
CREATE EXTENSION ltree;
CREATE EXTENSION pg_trgm;
CREATE SCHEMA "Zweites Schema";
CREATE SCHEMA "-T public.*";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glücklich');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE numbers START 1000 INCREMENT 7;
SELECT nextval('numbers'), nextval('numbers');
CREATE TABLE types (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, si smallint, i int, nu numeric(40, 20), re real, dp double precision,
    mo money, bo boolean, ch char(5), vc varchar(20), te text, by bytea, ts timestamp, tz timestamptz, da date, ti time,
    tt timetz, iv interval, uu uuid, js json, jb jsonb, xm xml, bi bit(4), bv bit varying(9), ip inet, ci cidr, ma macaddr,
    pt point, ln line, ls lseg, bx box, pa path, po polygon, cr circle, r4 int4range, mr int4multirange, tv tsvector,
    tq tsquery, ar int[][], mo2 mood, pr pair, ps positive, hs hstore, ct citext, lt ltree, oi oid, na name,
    doubled int GENERATED ALWAYS AS (i * 2) STORED
);
INSERT INTO types (si, i, nu, re, dp, mo, bo, ch, vc, te, by, ts, tz, da, ti, tt, iv, uu, js, jb, xm, bi, bv, ip, ci, ma, pt, ln,
    ls, bx, pa, po, cr, r4, mr, tv, tq, ar, mo2, pr, ps, hs, ct, lt, oi, na)
SELECT -32768, 2147483 + n, 0.12345678901234567890, 1.5e-30, 'NaN', 12.34, n % 2 = 0, 'ab', 'tab' || E'\t', E'4 bytes: 😀 \\. \\N \n',
    decode('00ff0a0d5c2727', 'hex'), '-infinity', '2024-02-29 23:59:59.999999+13', '0001-01-01 BC', '24:00', '12:00+14',
    '1 year -3 days 00:00:00.000001', '00000000-0000-0000-0000-00000000000f', '{"a": 1, "a": 2}', '{"x": [1, null, "\u00e9"]}',
    '<a>&lt;</a>', B'1010', B'101', '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '(1,2)', '{1,2,3}', '((0,0),(1,1))',
    '((2,2),(1,1))', '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '<(1,1),3>', '[1,5)', '{[1,2),[7,9)}', 'a fat cat', 'fat & cat',
    '{{1,2},{NULL,4}}', 'glücklich', '(1,"x,y")', 7, 'k=>"v w"', 'CiTeXt', 'a.b.c', 42, 'name'
FROM generate_series(1, 50) n;
INSERT INTO types DEFAULT VALUES;
CREATE TABLE parent (id int PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent ON DELETE CASCADE DEFERRABLE, note text DEFAULT 'x');
INSERT INTO parent SELECT n, 'name ' || n FROM generate_series(1, 1000) n;
INSERT INTO child SELECT n, 1 + n % 1000 FROM generate_series(1, 3000) n;
CREATE INDEX ON child USING gin (note gin_trgm_ops);
CREATE TABLE parts (at date NOT NULL, v int) PARTITION BY RANGE (at);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY HASH (v);
CREATE TABLE parts_b0 PARTITION OF parts_b FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_b1 PARTITION OF parts_b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX ON parts (v);
INSERT INTO parts SELECT '2020-01-01'::date + n, n FROM generate_series(0, 700) n;
CREATE TABLE base (a int); CREATE TABLE derived (b int) INHERITS (base);
INSERT INTO base VALUES (1); INSERT INTO derived VALUES (2, 3);
CREATE VIEW seen AS SELECT p.name, count(*) AS n FROM parent p JOIN child c ON c.parent = p.id GROUP BY p.name;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM seen WHERE n > 2 WITH DATA;
CREATE UNIQUE INDEX ON kept (name);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.note := upper(NEW.note); RETURN NEW; END$$;
CREATE TRIGGER shouting BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION shout();
CREATE FUNCTION total() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM parent; END;
CREATE PROCEDURE nothing() LANGUAGE plpgsql AS $$BEGIN NULL; END$$;
CREATE AGGREGATE product(int) (SFUNC = int4mul, STYPE = int, INITCOND = '1');
CREATE RULE forward AS ON INSERT TO base DO ALSO NOTIFY base;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON parent USING (id < 10);
CREATE STATISTICS of_both ON a, b FROM derived;
CREATE PUBLICATION news FOR TABLE parent;
CREATE UNLOGGED TABLE fast (a int); INSERT INTO fast VALUES (1);
CREATE TABLE "Zweites Schema"."Dot.ted ""quoted"" 'name'" ("col umn" int, "sel;ect" text);
INSERT INTO "Zweites Schema"."Dot.ted ""quoted"" 'name'" VALUES (1, 'x');
CREATE TABLE "-T public.*"."--file=/tmp/x" (a int); INSERT INTO "-T public.*"."--file=/tmp/x" VALUES (1), (2);
CREATE TABLE "line
\! touch /tmp/holdfast-pwned
end" (a int);
INSERT INTO "line
\! touch /tmp/holdfast-pwned
end" VALUES (3);
CREATE TABLE nocolumns (); INSERT INTO nocolumns DEFAULT VALUES;
COMMENT ON TABLE parent IS 'it''s "commented" \';
COMMENT ON CONSTRAINT child_parent_fkey ON child IS 'a key';
SELECT lo_from_bytea(0, decode(repeat('00ff', 100000), 'hex')), lo_from_bytea(0, ''), lo_from_bytea(4711, 'x');
