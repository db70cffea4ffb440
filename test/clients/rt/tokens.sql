-- tokens.sql - the token variants: the same columns of token types, changed as docs/operations.md says.
--
-- psql's variable "rights" names the functions of each type that RT's role is granted beside the one that tokenizes.
CREATE EXTENSION redoubt;
GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.name_token(text), redoubt.phone_token(text) TO CURRENT_USER;
DROP INDEX users4;  -- on lower(emailaddress)
ALTER TABLE users
    ALTER COLUMN emailaddress TYPE redoubt.email_token,
    ALTER COLUMN realname TYPE redoubt.name_token,
    ALTER COLUMN homephone TYPE redoubt.phone_token,
    ALTER COLUMN workphone TYPE redoubt.phone_token,
    ALTER COLUMN mobilephone TYPE redoubt.phone_token,
    ALTER COLUMN pagerphone TYPE redoubt.phone_token;
SELECT format('GRANT EXECUTE ON FUNCTION %s TO rt_user', p.oid::regprocedure)
FROM pg_proc AS p, unnest('{email_token,name_token,phone_token}'::text[]) AS token_type
WHERE p.pronamespace = 'redoubt'::regnamespace AND p.pronargs = 1
  AND (p.proname = token_type AND p.proargtypes[0] = 'text'::regtype
       OR p.proname = ANY (string_to_array(:'rights', ',')) AND p.proargtypes[0] = ('redoubt.' || token_type)::regtype)
\gexec
ALTER ROLE rt_user IN DATABASE :"DBNAME" SET redoubt.reveal = 'auto';
ANALYZE users;
