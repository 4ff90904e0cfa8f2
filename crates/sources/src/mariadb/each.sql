SELECT CONCAT('relation ', HEX(table_name), ' ', REPLACE(table_type, ' ', '_'))
FROM information_schema.tables
WHERE table_schema = DATABASE() AND BINARY table_schema = BINARY DATABASE();
SELECT CONCAT('key ', HEX(constraint_name), ' ', HEX(table_name), ' ', HEX(referenced_table_name))
FROM information_schema.referential_constraints
WHERE constraint_schema = DATABASE() AND BINARY constraint_schema = BINARY DATABASE()
  AND unique_constraint_schema = constraint_schema;
SELECT CONCAT('routine ', HEX(routine_name), ' ', routine_definition IS NULL)
FROM information_schema.routines
WHERE routine_schema = DATABASE() AND BINARY routine_schema = BINARY DATABASE();
