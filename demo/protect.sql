-- A token type of one's own, for ticket numbers; those for names, e-mail
-- addresses and telephone numbers ship with the extension.
SELECT redoubt.create_token_type('ticket_token', pattern => '^TM-[0-9]{7}$', "normalize" => 'upper',
                                 mask => 'keep_last(3)');

-- The owner may tokenize while it migrates, no longer.
GRANT EXECUTE ON FUNCTION redoubt.name_token(text), redoubt.email_token(text), redoubt.phone_token(text),
    redoubt.ticket_token(text) TO support_owner;
SET ROLE support_owner;
\timing on
ALTER TABLE support.ticket
    ALTER COLUMN ticket_id TYPE redoubt.ticket_token,
    ALTER COLUMN customer_name TYPE redoubt.name_token,
    ALTER COLUMN customer_email TYPE redoubt.email_token,
    ALTER COLUMN customer_phone TYPE redoubt.phone_token;
\timing off
RESET ROLE;
REVOKE EXECUTE ON FUNCTION redoubt.name_token(text), redoubt.email_token(text), redoubt.phone_token(text),
    redoubt.ticket_token(text) FROM support_owner;
