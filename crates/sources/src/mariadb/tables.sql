SELECT CONCAT('table ', HEX(table_schema), ' ', HEX(table_name), ' ', COALESCE(data_length + index_length, 0))
FROM information_schema.tables
WHERE table_type NOT LIKE '%VIEW'
  AND table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys');
