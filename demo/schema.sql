-- The support application's database as it was before Redoubt.
CREATE ROLE support_owner LOGIN;
CREATE ROLE support_app NOLOGIN;      -- what every user of the application may do
CREATE ROLE support_agent NOLOGIN IN ROLE support_app;
CREATE ROLE support_lead NOLOGIN IN ROLE support_agent;
CREATE ROLE agent LOGIN IN ROLE support_agent;
CREATE ROLE team_lead LOGIN IN ROLE support_lead;
CREATE ROLE rogue LOGIN IN ROLE support_lead;

CREATE SCHEMA support AUTHORIZATION support_owner;
GRANT USAGE ON SCHEMA support TO support_app;

SET ROLE support_owner;
CREATE TABLE support.ticket (
    ticket_id text PRIMARY KEY,
    customer_name text NOT NULL,
    customer_email text NOT NULL,
    customer_phone text,
    product text NOT NULL,
    subject text NOT NULL,
    status text NOT NULL,
    priority text NOT NULL,
    channel text NOT NULL,
    opened_on date NOT NULL
);
CREATE INDEX ticket_customer_email ON support.ticket (customer_email);
GRANT SELECT, INSERT, UPDATE ON support.ticket TO support_app;
