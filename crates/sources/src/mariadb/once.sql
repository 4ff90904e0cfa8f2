SELECT CONCAT('version ', HEX(VERSION()));
SELECT CONCAT('user ', HEX(CURRENT_USER()));
SELECT CONCAT('schema ', HEX(schema_name), ' ', default_character_set_name, ' ', default_collation_name)
FROM information_schema.schemata;
SHOW GRANTS;
