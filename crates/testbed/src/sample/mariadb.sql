-- A small shop: every kind of thing that a dump can forget, and one table of {rows} rows that gives it its size.
CREATE TABLE customer (
    id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT,
    name VARCHAR(200) NOT NULL,
    mood ENUM('calm', 'busy', 'née'),
    tags SET('a', 'b', 'c'),
    born DATE,
    profile JSON,
    seen DATETIME(6),
    photo BLOB,
    bits BIT(13),
    name_length INT AS (CHAR_LENGTH(name)) STORED,
    FULLTEXT KEY words (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO customer (name, mood, tags, born, profile, seen, photo, bits)
SELECT CONCAT('customer ', seq, ' 𝄞 ''"', CHAR(92)), ELT(1 + seq % 4, 'calm', 'busy', 'née', NULL), seq % 8,
       DATE '1950-01-01' + INTERVAL seq % 20000 DAY, JSON_OBJECT('n', seq, 'list', JSON_ARRAY(seq, seq + 1)),
       TIMESTAMP '2026-01-01 00:00:00.123456' + INTERVAL seq MINUTE, UNHEX(CONCAT(MD5(seq), '00FF0A27')), seq % 8192
FROM seq_1_to_5000;
CREATE TABLE `order "line" — é` (
    id INT PRIMARY KEY AUTO_INCREMENT,
    customer_id BIGINT UNSIGNED NOT NULL,
    amount DECIMAL(12, 3) CHECK (amount >= 0),
    `--note` TEXT,
    FOREIGN KEY (customer_id) REFERENCES customer (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 AUTO_INCREMENT=1000;
INSERT INTO `order "line" — é` (customer_id, amount, `--note`)
SELECT 1 + seq % 5000, seq / 7, CONCAT('line\nbreak\ttab ', seq) FROM seq_1_to_20000;
CREATE TABLE event (
    id BIGINT NOT NULL, at DATETIME NOT NULL, kind VARCHAR(20), token CHAR(128) CHARACTER SET ascii, message TEXT, PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (1000000), PARTITION high VALUES LESS THAN MAXVALUE);
INSERT INTO event
SELECT seq, TIMESTAMP '2026-01-01 00:00:00' + INTERVAL seq SECOND, ELT(1 + seq % 4, 'log in', 'log out', 'order', 'refund'),
       CONCAT(MD5(seq), MD5(seq * 7), MD5(seq * 11), MD5(seq * 13)),
       CONCAT('The request ', seq, ' of customer ', seq % 5000, ' was answered in ', seq % 997, ' ms with status ', 200 + seq % 5,
              '. It asked for /shop/item/', seq % 70001, '/view?from=', seq % 31, ' and read ', seq * 17 % 100003,
              ' bytes from the disk. Nothing unusual was seen; the session is ', MD5(seq % 9001), ', its language ',
              ELT(1 + seq % 4, 'da', 'de', 'en', 'fr'), '.')
FROM seq_1_to_{rows};
CREATE SEQUENCE ticket START WITH 1000;
CREATE VIEW busy AS SELECT id, name FROM customer WHERE mood = 'busy';
CREATE TRIGGER touched BEFORE UPDATE ON customer FOR EACH ROW SET NEW.seen = NOW(6);
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2;
CREATE PROCEDURE forget() DELETE FROM event WHERE id < 0;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM event WHERE id < 0;
