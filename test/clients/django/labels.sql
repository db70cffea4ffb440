-- labels.sql - the labelled variant: what an administrator does to meter Django's users, and nothing else.
CREATE EXTENSION redoubt;
SECURITY LABEL FOR redoubt ON COLUMN auth_user.email IS 'email_token';
SECURITY LABEL FOR redoubt ON COLUMN auth_user.first_name IS 'name_token';
SECURITY LABEL FOR redoubt ON COLUMN auth_user.last_name IS 'name_token';
