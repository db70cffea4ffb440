-- What one employee needs in an hour, and no more: first the pace, then the wall.
SELECT redoubt.set_limit('rogue', 'redoubt.email_token', 'reveal', max_values => 100, per => '1 second',
                         on_excess => 'throttle', max_delay => '2 seconds');
SELECT redoubt.set_limit('rogue', 'redoubt.email_token', 'reveal', max_values => 300, per => '1 hour',
                         on_excess => 'block');
SELECT redoubt.set_limit('rogue', 'redoubt.name_token', 'reveal', max_values => 300, per => '1 hour',
                         on_excess => 'block');
SELECT redoubt.set_limit('rogue', 'redoubt.phone_token', 'reveal', max_values => 300, per => '1 hour',
                         on_excess => 'block');
SELECT redoubt.set_limit('rogue', 'redoubt.email_token', 'tokenize', max_values => 200, per => '1 hour',
                         on_excess => 'block');
