-- tokens.sql - the token variants: the same columns of token types, changed as docs/operations.md says.
-- The index users4, on lower(emailaddress), is made anew of fingerprints.
ALTER TABLE users
    ALTER COLUMN emailaddress TYPE redoubt.email_token,
    ALTER COLUMN realname TYPE redoubt.name_token,
    ALTER COLUMN homephone TYPE redoubt.phone_token,
    ALTER COLUMN workphone TYPE redoubt.phone_token,
    ALTER COLUMN mobilephone TYPE redoubt.phone_token,
    ALTER COLUMN pagerphone TYPE redoubt.phone_token;
ANALYZE users;
