/*
 * Masks for clients whose encoding has no bullet.
 *
 * Proves: they are shown with asterisks instead of failing, by output functions, mask() and computed texts; and are not
 * taken back.
 */
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS redoubt;
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE ROLE regress_letter_agent;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.name_token(text), redoubt.mask(redoubt.email_token), redoubt.mask(redoubt.name_token),
  redoubt.search(redoubt.email_token) TO regress_letter_agent, CURRENT_USER;
CREATE TABLE letter (id int, email redoubt.email_token, name redoubt.name_token);
INSERT INTO letter VALUES (1, 'alice@example.com', 'Mary Smith');
GRANT ALL ON letter TO regress_letter_agent;
SET ROLE regress_letter_agent;
SET redoubt.reveal = 'auto';
SET client_encoding = 'LATIN1';
SELECT * FROM letter;
SELECT redoubt.mask(email), upper(email), 'to ' || email AS put, length(redoubt.mask(email)) FROM letter;
UPDATE letter SET email = 'a***@example.com';
UPDATE letter SET name = 'M*** S***'::text;
INSERT INTO letter(id, name) VALUES (2, 'two ** asterisks');
SET client_encoding = 'EUC_JP';
SELECT name FROM letter WHERE id = 1;
-- Encodings that have it.
SET client_encoding = 'WIN1252';
SELECT length(redoubt.mask(email)), redoubt.mask(email) ~ '\*' AS asterisks FROM letter WHERE id = 1;
SET client_encoding = 'UTF8';
SELECT * FROM letter WHERE id = 1;
UPDATE letter SET email = 'a***@example.com' WHERE id = 1 RETURNING email;
UPDATE letter SET email = 'a•••@example.com' WHERE id = 1;
RESET ROLE;
RESET redoubt.reveal;
DROP TABLE letter;
DROP OWNED BY regress_letter_agent;
DROP ROLE regress_letter_agent;
