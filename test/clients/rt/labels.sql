-- labels.sql - the labelled variant: what an administrator does to meter RT's users, and nothing else.
CREATE EXTENSION redoubt;
SECURITY LABEL FOR redoubt ON COLUMN users.emailaddress IS 'email_token';
SECURITY LABEL FOR redoubt ON COLUMN users.realname IS 'name_token';
SECURITY LABEL FOR redoubt ON COLUMN users.homephone IS 'phone_token';
SECURITY LABEL FOR redoubt ON COLUMN users.workphone IS 'phone_token';
SECURITY LABEL FOR redoubt ON COLUMN users.mobilephone IS 'phone_token';
SECURITY LABEL FOR redoubt ON COLUMN users.pagerphone IS 'phone_token';
