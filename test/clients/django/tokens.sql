-- tokens.sql - the token variants: the same columns of token types, changed as docs/operations.md says.
ALTER TABLE auth_user ALTER COLUMN email TYPE redoubt.email_token;
ALTER TABLE auth_user ALTER COLUMN first_name TYPE redoubt.name_token;
ALTER TABLE auth_user ALTER COLUMN last_name TYPE redoubt.name_token;
ANALYZE auth_user;
