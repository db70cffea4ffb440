# audit_unwritable.pl - proves that nothing is revealed or administered unrecorded:
# with a directory that is read-only, gone or no directory, a segment that may not
# grow and a file system that is full, it is error 58030 with a hint; tokens stay
# readable; after mending, the same server works again and the trail verifies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('audit_unwritable');
$node->admin(<<~'SQL');
  ALTER ROLE regress_agent SET redoubt.reveal = 'auto';
  CREATE ROLE regress_writer LOGIN;
  GRANT SELECT, INSERT ON person TO regress_writer;
  GRANT EXECUTE ON FUNCTION redoubt.email_token(text) TO regress_writer;
  SQL
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
my $audit = $node->audit_directory;
my $tokens = $node->ask('regress_lead', 'SELECT email FROM person ORDER BY id');
my $hint = qr/^HINT:.*redoubt\.audit_directory/m;

sub runs {
  my @command = @_;
  return eval { IPC::Run::run(\@command, '>', '/dev/null', '2>', '/dev/null') };
}

sub refused {
  my ($when, $pattern) = @_;
  my $report = $node->fails_with('regress_lead', $reveal, '58030', qr/$pattern/, "$when: detokenize() fails");
  like($report, $hint, "$when: with a hint");
  unlike($report, qr/person1|tok_/, "$when: without a value");
  $node->fails_with('regress_lead', q{SET redoubt.reveal = 'plain'; SELECT email FROM person}, '58030', qr/$pattern/, "$when: output reveals nothing");
  $node->fails_with('regress_agent', 'SELECT email FROM person', '58030', qr/$pattern/, "$when: nor masked");
  $node->fails_with('regress_lead', 'COPY (SELECT redoubt.mask(email) FROM person) TO stdout', '58030', qr/$pattern/, "$when: nor to COPY");
  $node->fails_with('regress_clerk', $reveal, '42501', qr/permission denied/, "$when: a denial is still a denial");
  $node->fails_with('', q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 1000, '1 hour')}, '58030', qr/$pattern/, "$when: no limit is changed");
  $node->fails_with('', 'GRANT EXECUTE ON FUNCTION redoubt.detokenize(redoubt.email_token) TO regress_clerk', '58030', qr/$pattern/, "$when: nothing is granted");
  is($node->ask('regress_lead', 'SELECT email FROM person ORDER BY id'), $tokens, "$when: tokens can be read");
  is($node->ask('regress_writer', q{SELECT count(*) FROM person WHERE email = 'person1@example.com'}), '1', "$when: and found");
  return;
}

sub works {
  my ($when) = @_;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "$when: values can be revealed again");
  is($node->ask('regress_agent', 'SELECT count(*) FROM (SELECT email FROM person) AS s'), '5', "$when: and read");
  is($node->verdict, 't', "$when: the trail verifies");
  is($node->admin('SELECT count(*) FROM redoubt.limits'), '0', "$when: no refused change has been made");
  return;
}

# Read-only from the start of the server.
$node->stop;
chmod 0500, $audit or die;
$node->start;
refused('read-only directory', qr/could not create a segment of the audit trail: Permission denied/);
like($node->verdict, qr/^f\|\|\|what is there is intact, but the trail cannot be opened for writing: Permission denied$/,
  'read-only directory: the trail can be verified');
chmod 0700, $audit or die;
works('writable again');

# Not readable either.
$node->stop;
chmod 0000, $audit or die;
$node->start;
refused('closed directory', qr/Permission denied/);
chmod 0700, $audit or die;
works('open again');

# The current segment not writable by a new session.
my $segment = ($node->audit_segments)[-1];
chmod 0400, $segment or die;
refused('read-only segment', qr/could not open the current segment of the audit trail: Permission denied/);
chmod 0600, $segment or die;
works('segment writable again');

# Something else in the directory's place.
my $aside = $node->basedir . '/aside';
rename $audit, $aside or die;
write_file($audit, '');
refused('a file instead of the directory', qr/Not a directory/);
unlink $audit or die;
refused('no directory', qr/No such file or directory/);
rename $aside, $audit or die;
works('put back');

# The next segment's name is taken.
$node->stop;
my ($number) = ($node->audit_segments)[-1] =~ /segment-(\d+)/;
my $next = sprintf '%s/segment-%010d.jsonl.', $audit, $number + 1;
chop $next;
mkdir $next or die;
$node->start;
refused('a directory instead of a segment', qr/could not \w.* audit trail/);
rmdir $next or die;
works('the directory is gone');

# A session whose files may not grow: the line gets out in part, and is cut off again.
SKIP: {
  skip 'there is no prlimit', 1 unless runs('prlimit', '--version');
  my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_lead', '-v', 'VERBOSITY=verbose' ]);
  is($session->query($reveal), 'person1@example.com', 'a session reveals');
  my $pid = $session->query('SELECT pg_backend_pid()');
  $segment = ($node->audit_segments)[-1];
  my $size = -s $segment;
  for my $more (0, 1, 100, 700) {
    system_or_bail('prlimit', "--pid=$pid", '--fsize=' . ($size + $more) . ':unlimited');
    my $out = $session->query($reveal);
    is($out, '', "room for $more bytes: nothing is revealed");
    like($session->{stderr}, qr/ERROR:  58030: could not write to the audit trail: File too large\n.*$hint/s, "room for $more bytes: the error says why");
    $session->{stderr} = '';
    is($node->verdict, 't', "room for $more bytes: the trail verifies");
    my @now = $node->audit_segments;
    is($now[-1], $segment, "room for $more bytes: no new segment is needed");
    $size = -s $segment;
    like(read_file($segment), qr/\}\n\z/, "room for $more bytes: no part of a line is left");
  }
  is($session->query('SELECT count(*) FROM person'), '5', 'the session lives');
  system_or_bail('prlimit', "--pid=$pid", '--fsize=unlimited');
  is($session->query($reveal), 'person1@example.com', 'without the limit it reveals again');
  $session->quit;
  works('files may grow');
}

# A full file system: a small tmpfs in a mount namespace that only this server sees.
SKIP: {
  my ($full, $mount, $stop) = RedoubtNode->make_small('full', '192k', conf => ['redoubt.audit_segment_size = 64kB']);
  skip 'this machine lets nobody mount a file system', 1 unless $full;
  is($full->ask('regress_lead', $reveal), 'person1@example.com', 'a small file system: values can be revealed');
  $full->shell("head -c 60000 /dev/zero > $mount/reserve");
  my ($out, $err) = ('', '');
  $full->psql('postgres', "$reveal;" x 2000, stdout => \$out, stderr => \$err, on_error_stop => 1,
    extra_params => [ '-U', 'regress_lead', '-v', 'VERBOSITY=verbose' ]);
  like($err, qr/ERROR:  58030: could not [\w ]+ the audit trail: No space left on device\n.*$hint/s, 'a full file system: revealing fails');
  my $revealed = () = $out =~ /person1/g;
  cmp_ok($revealed, '<', 2000, 'a full file system: no more is revealed');
  $full->fails_with('regress_lead', $reveal, '58030', qr/No space left on device/, 'a full file system: nor to a new session') for 1 .. 5;
  is($full->ask('regress_lead', 'SELECT count(email) FROM person'), '5', 'a full file system: tokens can be read');
  $full->shell("rm $mount/reserve");
  is($full->ask('regress_lead', $reveal), 'person1@example.com', 'room again: values can be revealed');
  is($full->verdict, 't', 'room again: the trail verifies');
  is($full->admin(q{SELECT sum(count) FROM redoubt.audit WHERE event = 'reveal' AND outcome <> 'intent'}), $revealed + 2,
    'room again: the trail has exactly what was revealed');
  $stop->();
}

done_testing();
