-- tokens.sql - the same columns of token types, changed as docs/operations.md says; one role may read ten addresses an hour.
ALTER TABLE customer ALTER COLUMN email TYPE redoubt.email_token;
ALTER TABLE customer ALTER COLUMN name TYPE redoubt.name_token;
ALTER TABLE customer ALTER COLUMN phone TYPE redoubt.phone_token;
ALTER TABLE customer ALTER COLUMN aliases TYPE redoubt.email_token[];
SELECT redoubt.set_limit('support_limited', 'redoubt.email_token', 'reveal', 10, '1 hour') > 0 AS limited;
VACUUM ANALYZE customer;
