-- Everyone may enter and look up plaintext, and see ticket numbers.
GRANT EXECUTE ON FUNCTION redoubt.name_token(text), redoubt.email_token(text), redoubt.phone_token(text),
    redoubt.ticket_token(text), redoubt.detokenize(redoubt.ticket_token) TO support_app;

-- Agents see the rest masked, leads in plaintext.
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.name_token), redoubt.mask(redoubt.email_token),
    redoubt.mask(redoubt.phone_token) TO support_agent;
GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.name_token), redoubt.detokenize(redoubt.email_token),
    redoubt.detokenize(redoubt.phone_token) TO support_lead;

-- Queries show the most that the role is granted.
ALTER ROLE agent SET redoubt.reveal = 'auto';
ALTER ROLE team_lead SET redoubt.reveal = 'auto';
ALTER ROLE rogue SET redoubt.reveal = 'auto';

CREATE ROLE auditor LOGIN IN ROLE redoubt_auditor;
