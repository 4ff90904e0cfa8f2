SELECT CONCAT('uses ', HEX(v.table_name), ' ', HEX(t.table_name))
FROM information_schema.views v
JOIN information_schema.tables t ON t.table_schema = v.table_schema
WHERE v.table_schema = DATABASE() AND t.table_schema = DATABASE()
  AND BINARY v.table_schema = BINARY DATABASE() AND BINARY t.table_schema = BINARY DATABASE()
  AND t.table_name <> v.table_name
  AND LOCATE(CONCAT('`', REPLACE(t.table_schema, '`', '``'), '`.`', REPLACE(t.table_name, '`', '``'), '`'),
             v.view_definition) > 0;
