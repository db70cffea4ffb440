-- Four columns become token types.  The owner may tokenize while it migrates, no longer.
SELECT redoubt.create_token_type('ticket_token', base => 'text', pattern => '^TM-[0-9]{7}$',
                                 "normalize" => 'upper', mask => 'keep_last(3)');

GRANT EXECUTE ON FUNCTION redoubt.name_token(text), redoubt.email_token(text), redoubt.phone_token(text),
    redoubt.ticket_token(text) TO support_owner;

SET ROLE support_owner;
ALTER TABLE support.ticket
    ALTER COLUMN ticket_id TYPE redoubt.ticket_token,
    ALTER COLUMN customer_name TYPE redoubt.name_token,
    ALTER COLUMN customer_email TYPE redoubt.email_token,
    ALTER COLUMN customer_phone TYPE redoubt.phone_token;
RESET ROLE;

REVOKE EXECUTE ON FUNCTION redoubt.name_token(text), redoubt.email_token(text), redoubt.phone_token(text),
    redoubt.ticket_token(text) FROM support_owner;
