# crash.pl - proves that a crash costs nothing but the statement it hit: after an
# immediate stop or a killed backend in the middle of reveals the server comes
# up, the audit trail goes on where it ended and verifies, and an incomplete last
# line is told, kept and tolerated - but only where a crash could have left it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('crash', conf => ['restart_after_crash = on']);
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
my $many = $node->basedir . '/many.sql';
write_file($many, "SELECT redoubt.detokenize(email) FROM person;\n" x 20000);

# A psql of regress_lead that runs a file on its own.
sub start_psql {
  my ($file) = @_;
  return IPC::Run::start(
    [ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', 'regress_lead', '-d', $node->connstr('postgres'), '-f', $file ],
    '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(180));
}

sub trail_size {
  my $size = 0;
  $size += -s $_ for $node->audit_segments;
  return $size;
}

# Two sessions that reveal until the server goes away; returns once they are at it.
sub reveal_on {
  my $from = trail_size();
  my @sessions = map { start_psql($many) } 1 .. 2;
  for (1 .. 600) {
    return @sessions if trail_size() > $from + 100_000;
    select undef, undef, undef, 0.1;
  }
  die 'the sessions reveal nothing';
}

# Sequence numbers of all segments, in order, without gap; returns the last.
sub last_sequence {
  my ($when) = @_;
  my @sequence = map { read_file($_) =~ /"sequence":(\d+)\},"mac":"[0-9a-f]{64}"\}\n/g } $node->audit_segments;
  is_deeply(\@sequence, [ 1 .. @sequence ], "$when: the sequence has no gap");
  return scalar @sequence;
}

sub recovered {
  my ($when, $before) = @_;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "$when: values can be revealed");
  is($node->verdict, 't', "$when: the audit trail verifies");
  my $now = last_sequence($when);
  cmp_ok($now, '>', $before, "$when: what was recorded before is still there");
  return $now;
}

my $sequence = last_sequence('at first');

# The whole server, in the middle of reveals.
for my $round (1 .. 3) {
  my @sessions = reveal_on();
  $node->stop('immediate');
  $_->finish for @sessions;
  $node->start;
  $sequence = recovered("immediate stop $round", $sequence + 100);
}

# One backend, which takes the shared memory with it.
my @sessions = reveal_on();
my $pid = $node->admin(q{SELECT pid FROM pg_stat_activity WHERE usename = 'regress_lead' LIMIT 1});
my $offset = $node->log_size;
kill 'KILL', $pid or die "kill: $!";
$_->finish for @sessions;
$node->came_back($offset);
like($node->log_text, qr/all server processes terminated; reinitializing/, 'a killed backend: the server started over');
$sequence = recovered('a killed backend', $sequence + 100);

# A backend that is killed while it sleeps in a throttle.
$node->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 1, '1 hour', on_excess => 'throttle', max_delay => '2 hours')});
write_file($many, "$reveal;\n" x 3);
my $sleeper = start_psql($many);
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'regress_lead' AND wait_event IN ('Extension', 'RedoubtThrottle')})
  or die 'no session is throttled';
$offset = $node->log_size;
kill 'KILL', $node->admin(q{SELECT pid FROM pg_stat_activity WHERE usename = 'regress_lead'}) or die "kill: $!";
$sleeper->finish;
$node->came_back($offset);
$node->admin(q{SELECT redoubt.drop_limit('regress_lead', 'redoubt.email_token', 'reveal')});
$sequence = recovered('a killed sleeper', $sequence);

# A line the crash left incomplete: cut the last line of the last segment in two.
for my $cut (1, 40, 300) {
  $node->stop('immediate');
  my $last = ($node->audit_segments)[-1];
  my $content = read_file($last);
  my $length = length(($content =~ /([^\n]*\n)\z/)[0]);
  write_file($last, substr($content, 0, length($content) - $cut));
  my $offset = $node->log_size;
  $node->start;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "last line short of $cut bytes: values can be revealed");
  is($node->verdict, 't', "last line short of $cut bytes: the audit trail verifies");
  my $torn = $length - $cut;
  like($node->log_text($offset), qr/redoubt audit: an incomplete line of $torn bytes was left by a crash/,
    "last line short of $cut bytes: the server log tells");
  like(read_file(($node->audit_segments)[-1]), qr/\A[^\n]*"torn_bytes":$torn,/, "last line short of $cut bytes: the next segment tells");
}

# The same bytes removed later, from a segment that was complete when the next one began, are damage.
my $closed = ($node->audit_segments)[0];
my $content = read_file($closed);
write_file($closed, substr($content, 0, length($content) - 40));
is($node->verdict, 'f|segment-0000000002.jsonl|1|the segment does not continue the one before it', 'a closed segment that is cut is found out');
write_file($closed, $content);
is($node->verdict, 't', 'and is well when it is put back');

done_testing();
