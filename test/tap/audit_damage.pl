# audit_damage.pl - proves that whatever lies in the audit directory, or in the place of the key file and the limit
# counters, is an error or a warning: no signal, nobody waits for it for ever, and others can be cancelled while one
# process reads the trail.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Time::HiRes qw(time);
use Test::More;

my $node = RedoubtNode->make('audit_damage');
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
my $audit = $node->audit_directory;

# ask in at most 30 seconds: what psql prints, or its error.
sub soon {
  my ($role, $sql) = @_;
  my ($out, $err) = ('', '');
  $node->psql('postgres', $sql, stdout => \$out, stderr => \$err, timeout => 30, timed_out => \my $timed_out,
    extra_params => [ '-v', 'VERBOSITY=verbose', $role eq '' ? () : ('-U', $role) ]);
  return $timed_out ? 'timed out' : "$out$err";
}

sub segment { return sprintf '%s/segment-%010d.jsonl', $audit, $_[0] }

sub last_number { my ($n) = ($node->audit_segments)[-1] =~ /segment-(\d+)/; return $n + 0 }

# A crash after a segment was created, before its header was written.
$node->stop('immediate');
my $next = last_number() + 1;
write_file(segment($next), '');
chmod 0600, segment($next) or die;
$node->start;
is(soon('regress_lead', $reveal), 'person1@example.com', 'an empty segment: values can be revealed');
is(last_number(), $next, 'an empty segment: it is used');
is($node->verdict, 't', 'an empty segment: the trail verifies');

# The last segment, changed while the server is down.
my $rubbish = join '', map { chr(($_ * 7919) % 256) } 1 .. 100_000;
my %change = (
  'cut in a header' => sub { substr $_[0], 0, 50 },
  'cut in a line' => sub { substr $_[0], 0, length($_[0]) - 100 },
  'zeros' => sub { "\0" x 70_000 },
  'zeros at the end' => sub { $_[0] . "\0" x 5000 },
  'no line ends' => sub { 'x' x 200_000 },
  'rubbish' => sub { $rubbish },
  'bits flipped' => sub { my $c = $_[0]; for (my $i = 13; $i < length $c; $i += 97) { substr($c, $i, 1) ^= "\x10" } $c },
  'a sequence number past all bounds' => sub { $_[0] =~ s/"sequence":\d+\}(,"mac":"[0-9a-f]+"\}\n)\z/"sequence":18446744073709551615}$1/r },
  'absurd numbers' => sub { $_[0] =~ s/:(\d+)([,}])/:99999999999999999999$2/gr },
  'negative numbers' => sub { $_[0] =~ s/:(\d+)([,}])/:-$1$2/gr },
);
for my $what (sort keys %change) {
  $node->stop('fast');
  my $file = ($node->audit_segments)[-1];
  my $good = read_file($file);
  my @before = $node->audit_segments;
  write_file($file, $change{$what}->($good));
  my $offset = $node->log_size;
  $node->start;
  like(soon('regress_lead', $reveal), qr/^person1\@example\.com$|ERROR:  58030/, "$what: revealed or refused");
  like(soon('', 'SELECT count(a::text) > 0 FROM redoubt.audit AS a'), qr/^t$/, "$what: the trail can be read");
  like(soon('', 'SELECT ok, broken_segment IS NOT NULL FROM redoubt.verify_audit()'), qr/^[tf]\|[tf]$/, "$what: and verified");
  unlike($node->log_text($offset), qr/terminated by signal/, "$what: no crash");
  $node->stop('fast');
  unlink grep { my $new = $_; !grep { $_ eq $new } @before } $node->audit_segments;
  write_file($file, $good);
  $node->start;
}
is($node->verdict, 't', 'put back, the trail verifies');

# Pipes: opening one would wait for somebody at the other end.
$node->stop('fast');
$next = last_number() + 1;
mkfifo(segment($next), 0600) or die "mkfifo: $!";
$node->start;
like(soon('regress_lead', $reveal), qr/ERROR:  58030: could not \w[\w ]+ the audit trail/, 'a pipe instead of a segment: nothing is revealed');
like(soon('', 'SELECT count(*) FROM redoubt.audit'), qr/ERROR:  58030/, 'a pipe instead of a segment: the view says so');
unlink segment($next) or die;
is(soon('regress_lead', $reveal), 'person1@example.com', 'without it the same server works');

my $counters = $node->data_dir . '/redoubt_limits';
$node->stop('fast');
rename $counters, "$counters.aside" or die;
mkfifo($counters, 0600) or die "mkfifo: $!";
my $offset = $node->log_size;
$node->start;
like($node->log_text($offset), qr/WARNING:  redoubt: file "redoubt_limits" is damaged/, 'a pipe instead of the counters: the log warns');
$node->stop('fast');
unlink $counters, "$counters.damaged";
rename "$counters.aside", $counters or die;

my $kek = $node->basedir . '/pipe';
mkfifo($kek, 0600) or die "mkfifo: $!";
my $conf = read_file($node->data_dir . '/postgresql.conf');
$node->set_conf("redoubt.kek_file = '$kek'");
$offset = $node->log_size;
$node->start;
like($node->log_text($offset), qr/WARNING:  redoubt has no key-encryption key: redoubt.kek_file is not a regular file/, 'a pipe instead of the key file: the log warns');
$node->stop('fast');
write_file($node->data_dir . '/postgresql.conf', $conf);
$node->start;
is($node->verdict, 't', 'all is well again');

# The first event after a start makes its process read the trail.  While that is slow, others wait, but can be cancelled.
SKIP: {
  $node->restart;
  my ($out, $err) = ('', '');
  my $first = IPC::Run::start(
    [ 'psql', '-XAtq', '-U', 'regress_lead', '-d', $node->connstr('postgres'), '-c', 'SELECT pg_sleep(5)', '-c', $reveal ],
    '<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(120));
  $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(5)'}) or die 'no first session';
  my $pid = $node->admin(q{SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(5)'});
  my $strace = eval {
    IPC::Run::start([ 'strace', '-q', '-o', '/dev/null', '-e', 'trace=pread64', '-e', 'inject=pread64:delay_enter=10000000:when=1', '-p', $pid ],
      '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(120));
  };
  my $attached = 0;
  for (1 .. 30) {
    last if !$strace || !$strace->pumpable || ($attached = read_file("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m);
    select undef, undef, undef, 0.1;
  }
  unless ($attached) { $first->finish; skip 'strace is not there or may not attach', 3 }
  $node->poll_query_until('postgres', qq{SELECT query LIKE '%detokenize%' FROM pg_stat_activity WHERE pid = $pid}) or die 'the first session does not go on';
  my $began = time;
  like(soon('regress_lead', "SET statement_timeout = '1s'; $reveal"), qr/ERROR:  57014/, 'while the trail is read, a statement that waits for it can be cancelled');
  cmp_ok(time - $began, '<', 6, 'at once');
  $first->finish;
  $strace->finish;
  is($out =~ s/^\n//r, "person1\@example.com\n", 'and the one that reads it goes on') or diag($err);
}
is($node->verdict, 't', 'the trail verifies');

# Numbers far apart: nobody looks at all that could be between them.
$node->stop('fast');
my $far = "$audit/segment-999999999999990000.jsonl";
write_file($far, "far\n");
$node->start;
is(soon('regress_lead', $reveal), 'person1@example.com', 'a segment of a very high number: values can be revealed');
ok(-e "$audit/segment-999999999999990001.jsonl", 'a segment of a very high number: writing goes on after it');
like(soon('', 'SELECT count(*) > 1 FROM redoubt.audit'), qr/^t$/, 'a segment of a very high number: the trail can be read');
like($node->verdict, qr/^f\|segment-\d+\.jsonl\|\|the segment is missing$/, 'a segment of a very high number: verification names the gap');
$node->stop('fast');
my $highest = "$audit/segment-999999999999999999.jsonl";
write_file($highest, "highest\n");
$node->start;
like(soon('regress_lead', $reveal), qr/ERROR:  58030: could not create a segment of the audit trail/, 'the highest number of all: nothing is revealed');
unlink $highest or die;
is(soon('regress_lead', $reveal), 'person1@example.com', 'without it the same server works');

done_testing();
