# keys.pl - proves where the key-encryption key may come from, and what works
# without it: a restart with the same one opens everything; another one, none or
# an unacceptable one is error 55000 that says which, while tokens can still be
# read, written, compared and dumped as tokens; and that a change of the key-encryption key
# loses nothing at any point, a crash in the middle included.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('keys');
my $kek = $node->basedir . '/kek';
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
my $token = $node->admin('SELECT email FROM person WHERE id = 1');
my $next_id = 100;

sub fingerprint {
  return $node->admin("SELECT value FROM redoubt.status() WHERE item = 'key-encryption key'");
}

# Tokens as tokens: read, written, joined, sorted, indexed, dumped.
sub tokens_work {
  my ($when) = @_;
  my $id = $next_id++;
  is($node->ask('regress_lead', 'SELECT email FROM person WHERE id = 1'), $token, "$when: tokens can be read");
  $node->ask('regress_clerk', "INSERT INTO person (id, phone) SELECT $id, phone FROM person WHERE id = 2");
  is($node->ask('regress_clerk', "SELECT count(*) FROM person WHERE email = '$token'"), '1', "$when: a token literal finds its row");
  is($node->ask('regress_clerk', "SELECT count(*) FROM person a JOIN person b USING (phone) WHERE a.id = $id AND b.id = 2"),
    '1', "$when: a token that was written is equal to its source");
  $node->ask('regress_clerk', "DELETE FROM person WHERE id = $id");
  $node->admin('CREATE INDEX person_phone ON person (phone); DROP INDEX person_phone;');
  like($node->pg_dump(options => [ '--data-only', '-t', 'person' ]), qr/^1\t\Q$token\E\t/m, "$when: tokens can be dumped");
  return;
}

# The server runs with `@conf`: revealing and tokenizing fail with 55000 and `$pattern`.
sub refused {
  my ($when, $pattern, @conf) = @_;
  $node->set_conf(@conf);
  $node->restart;
  my $report = $node->fails_with('regress_lead', $reveal, '55000', $pattern, "$when: nothing is revealed");
  unlike($report, qr/invalid ciphertext|corrupt/i, "$when: the key is named, not the token");
  like($report, qr/^HINT:/m, "$when: a hint says how to mend it");
  $node->fails_with('regress_lead', "INSERT INTO person VALUES (99, 'new\@example.com')", '55000', $pattern,
    "$when: nothing is tokenized");
  return;
}

sub accepted {
  my ($when, @conf) = @_;
  $node->set_conf(@conf);
  $node->restart;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "$when: values can be revealed");
  is($node->ask('regress_lead', q{SELECT count(*) FROM person WHERE email = 'person1@example.com'}),
    '1', "$when: values are tokenized as before");
  return;
}

# The same key after a restart.
my $first = fingerprint();
like($first, qr/^[0-9a-f]{16}$/, 'status() names the fingerprint of the key-encryption key');
accepted('same key', "redoubt.kek_file = '$kek'");
is(fingerprint(), $first, 'same key: same fingerprint');
is($node->verdict, 't', 'same key: the audit trail verifies over the restart');

# The same key in its other form.
my $raw = $node->basedir . '/kek_raw';
write_file($raw, pack('H*', substr(read_file($kek), 0, 64)));
chmod 0400, $raw or die;
accepted('32 raw bytes', "redoubt.kek_file = '$raw'");
is(fingerprint(), $first, '32 raw bytes: same fingerprint');

# Another key.
my $other = $node->new_kek('kek_other');
my $kek_offset = $node->log_size;
refused('another key', qr/\Q$first\E/, "redoubt.kek_file = '$other'");
my $second = fingerprint();
isnt($second, $first, 'another key: another fingerprint');
my $report = $node->fails_with('regress_lead', $reveal, '55000', qr/fingerprint \Q$first\E.*server has \Q$second\E/,
  'another key: the error names both fingerprints');
$node->fails_with('', q{SELECT redoubt.rotate_key('default')}, '55000', qr/\Q$first\E/, 'another key: rotation is refused');
like($node->verdict, qr/^f\|.*cannot be verified: chained under another key than \Q$second\E/,
  'another key: the older audit trail cannot be verified, and is not called forged');
tokens_work('another key');
# It does not fit: no new key is made that only it could open, and everybody is told which keys it does not open.
my $misfit = qr/a new key was refused because the server can open no key of this database.*version 1 of key "default", key-encryption key \Q$first\E: another key-encryption key wrapped it/s;
$node->fails_with('', q{SELECT redoubt.create_key('misfit')}, '55000', $misfit, 'another key: no key is made');
is($node->admin('SELECT count(*) FROM redoubt.key'), '1', 'another key: nor is there one');
is($node->admin('SELECT name, version, kek_fingerprint, opens, problem FROM redoubt.verify_keys()'),
  "default|1|$first|f|another key-encryption key wrapped it", 'another key: verify_keys() says which');
like($node->admin(q{SELECT value FROM redoubt.status() WHERE item = 'keys that cannot be opened'}), qr/^1: version 1 of key "default", key-encryption key \Q$first\E/,
  'another key: and status()');
is($node->admin(q{SELECT value FROM redoubt.status() WHERE item = 'keys that can be opened'}), '0', 'another key: which can, too');
$node->wait_for_log(qr/WARNING:.*1 of 1 keys of database "postgres" cannot be opened/, $kek_offset);
pass('another key: the server log warns at start');
# Where the key of a first value is missing and others are not, it is not made silently.
$node->admin(q{INSERT INTO redoubt.key (name, version, wrapped, kek_fingerprint, created_by) SELECT 'older', version, wrapped, kek_fingerprint, created_by FROM redoubt.key;
  DELETE FROM redoubt.key WHERE name = 'default'});
$node->fails_with('regress_lead', "INSERT INTO person VALUES (99, 'new\@example.com')", '55000', qr/a new key was refused/,
  'another key: a first value makes none');
$node->admin(q{UPDATE redoubt.key SET name = 'default'});
my $policy_events = q{SELECT count(*) FROM redoubt.audit WHERE event = 'policy' AND detail = 'table redoubt.key'};

# None.
refused('no key', qr/neither redoubt.kek_file nor redoubt.kek_command is set/, "redoubt.kek_file = ''");
like($node->log_text, qr/WARNING:.*redoubt has no key-encryption key/, 'no key: the server log warns at start');
$node->fails_with('', q{SELECT redoubt.create_key('another')}, '55000', qr/no key-encryption key/, 'no key: no data key can be made');
$node->fails_with('', 'SELECT redoubt.verify_audit()', '55000', qr/no key-encryption key/, 'no key: the audit trail cannot be verified');
$node->fails_with('regress_agent', 'SELECT redoubt.mask(email) FROM person', '55000', qr/no key-encryption key/, 'no key: nothing is masked');
tokens_work('no key');

# Files that are not acceptable.
my $inside = $node->data_dir . '/kek';
write_file($inside, read_file($kek));
chmod 0600, $inside or die;
refused('inside the data directory', qr/inside the data directory/, "redoubt.kek_file = '$inside'");
my $link = $node->basedir . '/kek_link';
symlink $inside, $link or die;
refused('a link into the data directory', qr/inside the data directory/, "redoubt.kek_file = '$link'");
unlink $inside or die;
refused('missing file', qr/cannot be opened: No such file/, "redoubt.kek_file = '$inside'");

my $open = $node->new_kek('kek_open');
for my $mode (0640, 0604, 0620) {
  chmod $mode, $open or die;
  refused(sprintf('mode %04o', $mode), qr/group or world access/, "redoubt.kek_file = '$open'");
}
like($node->log_text, qr/DETAIL:.*redoubt.kek_file is "\Q$open\E"/, 'the log names the file');
mkdir $node->basedir . '/kek_directory', 0700 or die;
refused('a directory', qr/not a regular file/, "redoubt.kek_file = '" . $node->basedir . "/kek_directory'");

my $short = $node->basedir . '/kek_short';
for my $content ('', 'x' x 31, 'z' x 64, 'ab' x 33) {
  write_file($short, $content);
  chmod 0600, $short or die;
  refused(length($content) . ' unusable bytes', qr/neither 32 bytes nor 64 hex digits/, "redoubt.kek_file = '$short'");
}

for my $zeros ("\0" x 32, '0' x 64) {
  write_file($short, $zeros);
  refused(length($zeros) . ' zeros', qr/nothing but zeros/, "redoubt.kek_file = '$short'");
}

# From a command.
my $command = "redoubt.kek_command = 'cat $kek'";
accepted('kek_command', "redoubt.kek_file = ''", $command);
is(fingerprint(), $first, 'kek_command: same fingerprint');
refused('both', qr/both redoubt.kek_file and redoubt.kek_command are set/, "redoubt.kek_file = '$kek'", $command);
refused('failing command', qr/redoubt.kek_command failed/, "redoubt.kek_file = ''", "redoubt.kek_command = 'cat $kek; exit 3'");
refused('silent command', qr/neither 32 bytes nor 64 hex digits/, "redoubt.kek_command = 'true'");

# Back to the first key.
accepted('the first key again', "redoubt.kek_file = '$kek'", "redoubt.kek_command = ''");

# A change of KEK: what either wraps can be used while both are there, what is new is wrapped by the new one, and
# rewrap_keys() does the rest, wholly or not at all.
sub wrapped_by {
  my (%options) = @_;
  return $node->admin('SELECT kek_fingerprint, count(*) FROM redoubt.key GROUP BY 1 ORDER BY min(name)', %options);
}
$node->admin(<<~'SQL');
  SELECT redoubt.create_token_type('card', method => 'fpe', format => 'digits(16)');
  SELECT redoubt.create_token_type('patient', method => 'vault');
  GRANT EXECUTE ON FUNCTION redoubt.card(text), redoubt.detokenize(redoubt.card), redoubt.patient(text), redoubt.detokenize(redoubt.patient) TO regress_lead;
  CREATE TABLE chart (card redoubt.card, patient redoubt.patient);
  GRANT ALL ON chart TO regress_lead;
  SELECT redoubt.rotate_key('default');
  CREATE DATABASE second;
  SQL
$node->admin('CREATE EXTENSION redoubt; CREATE TABLE note (t redoubt.text_token); GRANT ALL ON note TO regress_lead;
  GRANT EXECUTE ON FUNCTION redoubt.text_token(text), redoubt.detokenize(redoubt.text_token) TO regress_lead', database => 'second');
$node->ask('regress_lead', q{INSERT INTO note VALUES ('in the second database')}, database => 'second');
$node->ask('regress_lead', q{INSERT INTO chart SELECT redoubt.tokenize('4111111111111111', 'redoubt.card'), 'a patient'::text});
my $chart = 'SELECT redoubt.detokenize(card), redoubt.detokenize(patient) FROM chart';
my $note = 'SELECT redoubt.detokenize(t) FROM note';
is(wrapped_by(), "$first|2", 'change: the keys are wrapped by the first one');
refused('change: the new one alone', qr/fingerprint \Q$first\E.*server has \Q$second\E/, "redoubt.kek_file = '$other'");
my @both = ("redoubt.kek_file = '$other'", "redoubt.previous_kek_file = '$kek'");
sub both_work {
  my ($when) = @_;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "$when: sealed values can be revealed");
  is($node->ask('regress_lead', q{SELECT count(*) FROM person WHERE email = 'person1@example.com'}), '1', "$when: and are equal to new ones");
  is($node->ask('regress_lead', $chart), '4111111111111111|a patient', "$when: format-preserving and vaulted ones, too");
  is($node->ask('regress_lead', $note, database => 'second'), 'in the second database', "$when: in every database");
  return;
}
accepted('change: both', @both);
is(fingerprint(), $second, 'change: the server has the new one');
is($node->admin(q{SELECT value FROM redoubt.status() WHERE item = 'previous key-encryption key'}), $first, 'change: and names the previous one');
both_work('change: both');
is($node->admin(q{SELECT redoubt.create_key('made_meanwhile')}), '1', 'change: a key can be made');
is($node->admin(q{SELECT kek_fingerprint FROM redoubt.key WHERE name = 'made_meanwhile'}), $second, 'change: by the new one');
# What is not committed uses a key already.
$node->admin('CREATE TABLE late AS SELECT email FROM person WHERE false');
my $late = $node->background_psql('postgres', on_error_stop => 0);
$late->query('BEGIN; INSERT INTO late SELECT email FROM person');
is($node->admin(q{SELECT version, tokens FROM redoubt.key_use() WHERE table_name = 'late'::regclass}), '1|5', 'uncommitted tokens are in use');
$node->fails_with('', q{SELECT redoubt.retire_key('default', 1)}, '2BP01', qr/5 in column email of public.late/, 'and keep their key from retiring');
$late->quit;
is($node->admin(q{SELECT count(*) FROM redoubt.key_use() WHERE table_name = 'late'::regclass}), '0', 'rolled back ones are not');
# A crash in the middle.
my $session = $node->background_psql('postgres', on_error_stop => 0);
is($session->query(q{BEGIN; SELECT redoubt.rewrap_keys()}), '2', 'change: two keys are wrapped anew');
$session->query('CHECKPOINT');
$node->stop('immediate');
eval { $session->quit };
$node->start;
is(wrapped_by(), "$first|2\n$second|1", 'change: after a crash none is');
is($node->admin('BEGIN; SELECT redoubt.rewrap_keys(); ROLLBACK;'), '2', 'change: two keys are wrapped anew');
is(wrapped_by(), "$first|2\n$second|1", 'change: and rolled back');
both_work('change: rolled back');
my $changes_by_hand = $node->admin($policy_events);
is($node->admin('SELECT redoubt.rewrap_keys()'), '2', 'change: done');
is(wrapped_by(), "$second|3", 'change: now the new one wraps them all');
is($node->admin(q{SELECT count, detail LIKE '%' || (SELECT value FROM redoubt.status() WHERE item = 'key-encryption key') FROM redoubt.audit WHERE operation = 'rewrap_keys' ORDER BY sequence DESC LIMIT 1}),
  '2|t', 'change: it is on record');
is($node->admin($policy_events), $changes_by_hand, 'change: once');
both_work('change: done in one database');
is($node->admin('SELECT redoubt.rewrap_keys()'), '0', 'change: done once');
is($node->admin('SELECT redoubt.rewrap_keys()', database => 'second'), '1', 'change: done in the other');
is($node->verdict, 't', 'change: the audit trail verifies under both');
# The other way round: back.
accepted('change: back', "redoubt.kek_file = '$kek'", "redoubt.previous_kek_file = '$other'");
is($node->admin('SELECT redoubt.rewrap_keys()'), '3', 'change: back again');
is($node->admin('SELECT redoubt.rewrap_keys()', database => 'second'), '1', 'change: there, too');
# Without the previous one.
accepted('change: without the other', "redoubt.previous_kek_file = ''");
both_work('change: without the other');
like($node->verdict, qr/^f\|.*chained under another key than \Q$first\E/, 'change: without the other: what it chained cannot be verified');
is($node->admin(q{SELECT count(*) FROM redoubt.status() WHERE item = 'previous key-encryption key'}), '0', 'change: none is named');
# A previous one that cannot be had is a warning, and what it wraps is refused.
refused('previous one missing', qr/fingerprint \Q$first\E/, "redoubt.kek_file = '$other'", "redoubt.previous_kek_file = '$inside'");
like($node->log_text, qr/WARNING:.*redoubt has no previous key-encryption key: redoubt.previous_kek_file cannot be opened/, 'previous one missing: the log says so');
like($node->admin(q{SELECT value FROM redoubt.status() WHERE item = 'previous key-encryption key'}), qr/^none: redoubt.previous_kek_file cannot be opened/,
  'previous one missing: and status()');
$node->fails_with('', 'SELECT redoubt.rewrap_keys()', '55000',
  qr/no key was wrapped anew, because 3 of them cannot be opened.*version 1 of key "default", .*\Q$first\E.*version 2 of key "default".*version 1 of key "made_meanwhile"/s,
  'previous one missing: nothing is wrapped anew, and all that stands in the way is listed');
is($node->admin('SELECT count(*), count(*) FILTER (WHERE opens) FROM redoubt.verify_keys()'), '3|0', 'previous one missing: verify_keys() has them all');
accepted('previous one from a command', "redoubt.previous_kek_file = ''", "redoubt.previous_kek_command = 'cat $kek'");
accepted('the first key for good', "redoubt.kek_file = '$kek'", "redoubt.previous_kek_command = ''");
$node->fails_with('regress_clerk', 'SHOW redoubt.kek_file', '42501', qr/pg_read_all_settings|superuser/, 'not everyone learns where the key is');
$node->stop;

# No key byte has reached what a thief of the data directory or of the log gets.
for my $needle (map { my $hex = substr(read_file($_), 0, 64); ($hex, uc $hex, pack('H*', $hex)) } $kek, $other) {
  my @hits;
  for my $file ($node->logfile, split /\n/, run_command([ 'find', $node->data_dir, '-type', 'f' ])) {
    push @hits, $file if index(read_file($file) // '', $needle) >= 0;
  }
  is_deeply(\@hits, [], 'the key-encryption key is in no file of the data directory and not in the log');
}

done_testing();
