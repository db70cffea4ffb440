-- What a team lead needs in an hour, and no more: first the pace, then the wall.
-- Every member of the group has a budget of his own.
SELECT redoubt.set_limit('support_lead', 'redoubt.email_token', 'reveal', max_values => 100, per => '1 second',
                         on_excess => 'throttle', max_delay => '2 seconds');
SELECT redoubt.set_limit('support_lead', 'redoubt.email_token', 'reveal', max_values => 300, per => '1 hour');
SELECT redoubt.set_limit('support_lead', 'redoubt.name_token', 'reveal', max_values => 300, per => '1 hour');
SELECT redoubt.set_limit('support_lead', 'redoubt.phone_token', 'reveal', max_values => 300, per => '1 hour');
SELECT redoubt.set_limit('support_lead', 'redoubt.email_token', 'tokenize', max_values => 200, per => '1 hour');
