-- One row for the expressions to be about: a column of each type, and nulls of most (their names begin with n).
CREATE STREAM one (
  k STRING KEY, i INT, b BIGINT, d DOUBLE, dec DECIMAL(6, 2), s STRING, bo BOOLEAN, da DATE, ti TIME, ts TIMESTAMP, byt BYTES,
  ai ARRAY<INT>, ast ARRAY<STRING>, m MAP<STRING, INT>, mm MAP<STRING, ARRAY<STRUCT<a INT, b STRING>>>,
  st STRUCT<a INT, b STRING, c ARRAY<DOUBLE>>, ni INT, ns STRING, nd DOUBLE, ndec DECIMAL(6, 2), na ARRAY<INT>, nm MAP<STRING, INT>,
  nby BYTES, nts TIMESTAMP, nbo BOOLEAN
) WITH (kafka_topic='one', key_format='JSON', value_format='JSON', partitions=1);
INSERT INTO one (k, i, b, d, dec, s, bo, da, ti, ts, byt, ai, ast, m, mm, st) VALUES (
  'k', 7, 5000000000, 2.5e0, 12.34, 'Hello World', true, '2020-02-29', '10:20:30', '2020-02-29T10:20:30.123', TO_BYTES('abc', 'utf8'),
  ARRAY[1, 2, 3], ARRAY['a', 'b'], MAP('x' := 1, 'y' := 2), MAP('p' := ARRAY[STRUCT(a := 1, b := 'q')]),
  STRUCT(a := 1, b := 'z', c := ARRAY[1.5e0]));
