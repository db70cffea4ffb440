# settings.pl - proves who may change which setting and how, and that every change
# that outlives a session is in the audit trail: superuser_access only through the
# configuration file, and without effect until the server has read it; ALTER ROLE,
# ALTER DATABASE and ALTER SYSTEM of redoubt.* are recorded with the role that did it.
use strict;
use warnings;
use FindBin;
use IO::Socket::UNIX;
use lib "$FindBin::RealBin/lib";
use RedoubtNode;
use Test::More;

my $node = RedoubtNode->make('settings');
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';

# How often the trail has a setting's change, by detail.
sub recorded {
  my ($detail) = @_;
  return $node->admin("SELECT count(*) FROM redoubt.audit WHERE event = 'settings' AND detail LIKE '%$detail%'");
}

# superuser_access: off by default, not for any session, role or database.
is($node->admin('SHOW redoubt.superuser_access'), 'off', 'superuser_access is off');
$node->fails_with('', $reveal, '42501', qr/permission denied/, 'off: a superuser reveals nothing');
$node->fails_with('', q{SELECT 'x@example.com'::redoubt.email_token}, '42501', qr/permission denied/, 'off: and tokenizes nothing');
for my $sql ('SET redoubt.superuser_access = on', 'ALTER ROLE CURRENT_USER SET redoubt.superuser_access = on',
  'ALTER DATABASE postgres SET redoubt.superuser_access = on', q{SELECT set_config('redoubt.superuser_access', 'on', false)},
  'CREATE FUNCTION f() RETURNS integer LANGUAGE sql SET redoubt.superuser_access = on AS $$SELECT 1$$',
  q{UPDATE pg_settings SET setting = 'on' WHERE name = 'redoubt.superuser_access'}) {
  $node->fails_with('', $sql, '55P02', qr/cannot be changed now/, "superuser_access: refused: $sql");
}
{
  local $ENV{PGOPTIONS} = '-c redoubt.superuser_access=on';
  ok(!$node->connects(scalar getpwuid $<), 'superuser_access: refused as a connection option');
}

ok($node->connects('regress_clerk'), 'who asks for nothing connects');

# What weakens metering is not for who is metered to ask for at connect.
for my $option ('redoubt.mode=learn', 'redoubt.mode=observe', 'redoubt.superuser_access=on', 'redoubt.max_subjects=100',
  'session_preload_libraries=redoubt', 'session_replication_role=replica', 'shared_preload_libraries=') {
  local $ENV{PGOPTIONS} = "-c $option";
  ok(!$node->connects('regress_clerk'), "refused as a connection option: $option");
}
{
  local $ENV{PGOPTIONS} = '-c application_name=pg_dump';
  is($node->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'regress_clerk' ]), 0, 'others are not');
}

# The configuration file, at reload.
my $reloads = q{SELECT string_agg(substring(detail FROM 'superuser_access (\w+)'), ',' ORDER BY sequence) FROM redoubt.audit WHERE event = 'settings' AND operation = 'reload'};
$node->set_conf('redoubt.superuser_access = on');
$node->fails_with('', $reveal, '42501', qr/permission denied/, 'in the file, not read yet: nothing is revealed');
$node->reload;
$node->poll_query_until('postgres', 'SHOW redoubt.superuser_access', 'on') or die 'the reload had no effect';
is($node->admin($reveal), 'person1@example.com', 'on: a superuser reveals without a grant');
is($node->admin(q{SELECT count(*) > 0 FROM redoubt.audit WHERE event = 'reveal' AND session_user_name = current_user}), 't', 'on: and is recorded');
is($node->admin($reloads), 'on', 'on: the change itself is recorded, before what it allowed');
$node->fails_with('regress_clerk', $reveal, '42501', qr/permission denied/, 'on: nobody else gains');
$node->set_conf('redoubt.superuser_access = off');
$node->reload;
$node->poll_query_until('postgres', 'SHOW redoubt.superuser_access', 'off') or die 'the reload had no effect';
$node->fails_with('', $reveal, '42501', qr/permission denied/, 'off again: nothing is revealed');
is($node->admin($reloads), 'on,off', 'off again: that change is recorded too');

# A running session hears of it.
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query('SELECT 1');
$node->admin('ALTER SYSTEM SET redoubt.superuser_access = on; SELECT pg_reload_conf()');
$node->poll_query_until('postgres', 'SHOW redoubt.superuser_access', 'on') or die 'the reload had no effect';
is($session->query($reveal), 'person1@example.com', 'on by ALTER SYSTEM: in a running session too');
$node->admin('ALTER SYSTEM RESET redoubt.superuser_access; SELECT pg_reload_conf()');
$node->poll_query_until('postgres', 'SHOW redoubt.superuser_access', 'off') or die 'the reload had no effect';
is($session->query($reveal), '', 'off by ALTER SYSTEM: in a running session too');
$session->quit;
is($node->admin(q{SELECT operation || ' ' || detail FROM redoubt.audit WHERE event = 'settings' AND detail LIKE '%ALTER SYSTEM' ORDER BY sequence}),
  "set redoubt.superuser_access by ALTER SYSTEM\nreset redoubt.superuser_access by ALTER SYSTEM", 'ALTER SYSTEM is recorded');

# What a role gets to see by default.
$node->admin(q{ALTER ROLE regress_lead SET redoubt.reveal = 'auto'; ALTER ROLE regress_lead IN DATABASE postgres SET redoubt.reveal TO plain;
  ALTER DATABASE postgres SET redoubt.reveal = 'masked'; ALTER ROLE ALL SET redoubt.reveal = 'token'; ALTER ROLE ALL RESET redoubt.reveal;
  ALTER ROLE regress_agent SET work_mem = '8MB'});
is(recorded('redoubt.reveal for role regress_lead'), '2', 'ALTER ROLE is recorded');
is(recorded('redoubt.reveal for database postgres'), '1', 'ALTER DATABASE is recorded');
is(recorded('redoubt.reveal for role ALL'), '2', 'ALTER ROLE ALL is recorded');
is(recorded('work_mem'), '0', 'other settings are not');
is($node->ask('regress_lead', 'SELECT email FROM person WHERE id = 1'), 'person1@example.com', 'the setting of a role in a database counts');
is($node->ask('regress_lead', 'ALTER ROLE regress_lead RESET redoubt.reveal; SHOW redoubt.reveal'), 'plain', 'a role may change its own');
is($node->admin(q{SELECT session_user_name FROM redoubt.audit WHERE event = 'settings' AND operation = 'reset' AND detail LIKE '%for role regress_lead'}),
  'regress_lead', 'which is recorded under its name');
$node->admin('ALTER ROLE regress_lead IN DATABASE postgres RESET ALL; ALTER DATABASE postgres RESET redoubt.reveal');

# Postmaster settings, and a server that cannot start with nonsense.
for my $name (qw(audit_directory max_subjects)) {
  $node->fails_with('', "SET redoubt.$name = '1000'", '55P02', qr/cannot be changed without restarting/, "$name takes a restart");
}
for my $name (qw(kek_file kek_command audit_durability audit_segment_size)) {
  $node->fails_with('', "SET redoubt.$name = DEFAULT", '55P02', qr/cannot be changed now/, "$name takes a reload");
}
for my $name (qw(kek_file kek_command audit_directory)) {
  $node->fails_with('regress_clerk', "SHOW redoubt.$name", '42501', qr/superuser|pg_read_all_settings/, "$name is not for everyone to see");
}
$node->fails_with('', 'SET redoubt.superuser_acess = on', '42602', qr/reserved prefix/, 'a misspelt setting is refused');
# A database whose encoding has no bullet.
$node->admin(q{CREATE DATABASE western ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
is($node->safe_psql('western', q{CREATE EXTENSION redoubt; GRANT EXECUTE ON FUNCTION redoubt.email_token(text), redoubt.mask(redoubt.email_token) TO CURRENT_USER;
  SELECT redoubt.mask(redoubt.email_token('alice@example.com'::text))}), 'a***@example.com', 'a mask in LATIN1 is made of asterisks');

# A database of a language whose upper case depends on what is beside a letter: the index finds what LIKE finds.
SKIP: {
  my ($failed) = $node->psql('postgres', q{CREATE DATABASE greek TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'el' ENCODING 'UTF8'});
  skip 'no ICU here', 1 if $failed;
  is($node->safe_psql('greek', q{CREATE EXTENSION redoubt; GRANT EXECUTE ON FUNCTION redoubt.text_token(text), redoubt.detokenize(redoubt.text_token) TO CURRENT_USER;
    CREATE TABLE v (v redoubt.text_token, t text); CREATE INDEX ON v USING gin (v); SET enable_seqscan = off;
    INSERT INTO v SELECT t::redoubt.text_token, t FROM unnest(ARRAY['Μάυρος Γιώργος', 'ράιδος', 'ΆΝΝΑ', 'İstanbul', 'ısı']) AS u(t);
    SELECT string_agg(format('%s %s', (SELECT count(*) FROM v WHERE v LIKE p) = (SELECT count(*) FROM v WHERE t LIKE p),
      (SELECT count(*) FROM v WHERE v ILIKE p) = (SELECT count(*) FROM v WHERE t ILIKE p) AND (SELECT count(*) FROM v WHERE upper(v) LIKE upper(p)) = (SELECT count(*) FROM v WHERE upper(t) LIKE upper(p))), ' ')
    FROM unnest(ARRAY['%υρος%', '%ιδος', '%άνν%', '%ΙΏΡΓΟΣ', '%stan%', '%ISI', 'i%']) AS q(p)}), join(' ', ('t t') x 7), 'by index as by text, in Greek');
}

# A pooler keeps per client what the server reports to it: ParameterStatus, at the start of a session and at a change.
{
  my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "no connection: $!";
  my $send = sub { my ($type, $body) = @_; print {$socket} $type . pack('N', 4 + length $body) . $body; $socket->flush };
  my $reported = sub {  # up to ReadyForQuery
    my %value;
    while (read($socket, my $head, 5) == 5) {
      my ($type, $size) = unpack('aN', $head);
      read($socket, my $body, $size - 4) if $size > 4;
      my ($name, $is) = $type eq 'S' ? split /\0/, $body : ();
      $value{$name} = $is if defined $name && $name =~ /^redoubt/;
      last if $type eq 'Z';
    }
    return join ', ', map {"$_=$value{$_}"} sort keys %value;
  };
  $send->('', pack('N', 196608) . "user\0regress_clerk\0database\0postgres\0\0");
  is($reported->(), 'redoubt.input=auto, redoubt.reveal=token, redoubt.token_order=off', 'what a session sees is reported to the client');
  $send->('Q', "SET redoubt.reveal = 'auto'\0");
  is($reported->(), 'redoubt.reveal=auto', 'and a change of it');
  close $socket;
}
is($node->admin(q{SELECT string_agg(DISTINCT operation, ',') FROM redoubt.audit WHERE event = 'settings' AND operation = 'start'}), 'start', 'the settings at start are recorded');
like($node->admin(q{SELECT detail FROM redoubt.audit WHERE event = 'settings' AND operation = 'start' LIMIT 1}), qr/superuser_access/, 'superuser_access among them');
is($node->verdict, 't', 'the audit trail verifies');

done_testing();
