SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(table_type = 'SYSTEM VERSIONED'), 0))
FROM information_schema.tables
WHERE table_schema = DATABASE() AND BINARY table_schema = BINARY DATABASE()
  AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED');
