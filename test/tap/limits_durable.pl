# limits_durable.pl - proves that nobody gets a new budget by a restart: buckets and
# usage counters are the same after a clean restart, at most a second behind after an
# immediate stop, a killed backend and a killed postmaster, on a standby as well; and where
# their file is damaged or gone every bucket begins empty, with a warning.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('limits_durable', streaming => 1, conf => [ 'restart_after_crash = on', 'hot_standby = on' ]);
my $file = $node->data_dir . '/redoubt_limits';
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';

# COUNT reveals, each a statement of its own.
sub reveal {
  my ($server, $count) = @_;
  $server->ask('regress_lead', "$reveal;\n" x $count);
  return;
}

# "charged remaining" of regress_lead's reveals.
sub standing {
  my ($server) = @_;
  return $server->admin(q{SELECT charged || ' ' || remaining FROM redoubt.usage WHERE role = 'regress_lead'::regrole AND operation = 'reveal'});
}

sub blocked {
  my ($server, $title) = @_;
  return $server->fails_with('regress_lead', $reveal, '53400', qr/limit on reveal of redoubt.email_token exceeded/, $title);
}

# Starts a server whose postmaster was killed, as soon as its orphans are gone.
sub start_soon {
  my ($server) = @_;
  for (1 .. 600) {
    return if $server->start(fail_ok => 1);
    $server->stop('fast', fail_ok => 1);
    select undef, undef, undef, 0.1;
  }
  die 'the server does not start';
}

# Waits until the worker has written what the counters were on entry.
sub saved {
  my ($server) = @_;
  $server->admin('SELECT pg_sleep(1.2)');
  return;
}

ok(-s $file, 'the file is there from the first start on');
unlike($node->log_text, qr/what was charged to limits is unknown/, 'a first start has lost nothing');

$node->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 100, '100 days')});
reveal($node, 7);
is(standing($node), '7 93', 'seven reveals');

# Clean: to the value, at once after the charge.
for my $mode (qw(fast smart)) {
  reveal($node, 1);
  my $before = standing($node);
  $node->stop($mode);
  $node->start;
  is(standing($node), $before, "$mode stop: counters and bucket are as they were");
}

# A charge that is a second old survives whatever happens.
reveal($node, 5);
saved($node);
$node->stop('immediate');
$node->start;
is(standing($node), '14 86', 'immediate stop: what is a second old is there');

reveal($node, 5);
saved($node);
my $victim = $node->background_psql('postgres');
my $pid = $victim->query_safe('SELECT pg_backend_pid()');
my $offset = $node->log_size;
kill 'KILL', $pid or die "kill: $!";
$node->wait_for_log(qr/all server processes terminated; reinitializing/, $offset);
$node->came_back($offset);
eval { $victim->quit };
is(standing($node), '19 81', 'a killed backend: what is a second old is there');

reveal($node, 5);
saved($node);
$node->kill9;
start_soon($node);
is(standing($node), '24 76', 'a killed postmaster: what is a second old is there');

# The worker comes back when it is terminated, and status tells when it does not save.
my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'redoubt limits'};
$pid = $node->admin($worker);
$node->admin("SELECT pg_terminate_backend($pid)");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($worker) AS w WHERE pid <> $pid") or die 'the worker did not come back';
reveal($node, 1);
saved($node);
$node->stop('immediate');
$node->start;
is(standing($node), '25 75', 'a terminated worker goes on');

# A suspension outlives a crash and a restart.
$node->admin(q{SELECT redoubt.set_limit('regress_agent', 'redoubt.phone_token', 'masked', 2, '1 s', on_excess => 'suspend')});
my $phones = 'SELECT redoubt.mask(phone) FROM person';
$node->fails_with('regress_agent', $phones, '53400', qr/limit on masked of redoubt.phone_token exceeded.*suspends the role/s, 'a limit that suspends is exceeded');
saved($node);
for my $mode (qw(immediate fast)) {
  $node->stop($mode);
  $node->start;
  saved($node);
  $node->fails_with('regress_agent', "$phones LIMIT 1", '53400', qr/role "regress_agent" is suspended from redoubt.phone_token/,
    "$mode stop: the role is still suspended, though the bucket is full again");
}
is($node->admin(q{SELECT redoubt.lift_suspension('regress_agent')}), 1, 'until it is lifted');
$node->restart;
is($node->ask('regress_agent', "$phones LIMIT 1") ne '', 1, 'and then it is gone, after a restart too');

# The worker holds up nobody who waits for all processes.
$node->admin('CREATE DATABASE regress_dropped');
my $dropped_err = '';
my $rc = $node->psql('postgres', 'DROP DATABASE regress_dropped', timeout => 30, timed_out => \my $timed_out, stderr => \$dropped_err);
ok($rc == 0 && !$timed_out, 'a database can be dropped') or diag($dropped_err);

# Nothing is written where nothing changed.
saved($node);
my $inode = (stat $file)[1];
saved($node);
is((stat $file)[1], $inode, 'an idle server leaves the file alone');

# A standby has its own budget, which begins where the backup was and is as durable.
$node->backup('b');
my $standby = RedoubtNode->new('limits_standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
is(standing($standby), '25 75', 'a standby begins with the counters of its backup');
reveal($standby, 3);
saved($standby);
$standby->stop('immediate');
$standby->start;
is(standing($standby), '28 72', 'standby, immediate stop: what is a second old is there');
$standby->stop('fast');
$standby->start;
is(standing($standby), '28 72', 'standby, clean restart: to the value');
is(standing($node), '25 75', 'and the primary was not charged for it');
$standby->stop;

# Damage, of whatever kind, empties the buckets.
my %damage = (
  'a flipped bit' => sub { my $c = read_file($file); substr($c, 60, 1) ^= "\x01"; write_file($file, $c) },
  'a cut file' => sub { write_file($file, substr(read_file($file), 0, -40)) },
  'an empty file' => sub { write_file($file, '') },
  'bytes at the end' => sub { write_file($file, read_file($file) . ("\0" x 40)) },
  'another version' => sub { my $c = read_file($file); substr($c, 8, 4) = "\xff\xff\xff\x7f"; write_file($file, $c) },
  'absurd counts' => sub { my $c = read_file($file); substr($c, 24, 16) = "\xff" x 16; write_file($file, $c) },
  'a missing file' => sub { unlink $file or die "$file: $!" },
);
for my $what (sort keys %damage) {
  $node->stop('fast');
  my $good = read_file($file);
  $damage{$what}->();
  $offset = $node->log_size;
  $node->start;
  my $problem = $what eq 'a missing file' ? 'missing' : 'damaged';
  like($node->log_text($offset), qr/WARNING:  redoubt: file "redoubt_limits" is $problem: what was charged to limits is unknown/, "$what: the log warns");
  blocked($node, "$what: the bucket begins empty");
  $node->stop('immediate');
  $node->start;
  blocked($node, "$what: and is so after another restart");
  $node->stop('fast');
  write_file($file, $good);
  $node->start;
  is(standing($node), '25 75', "$what: the good file put back is good");
}

# Records that no charge can have made, under a good checksum, as memory that was written to by something else is
# saved: they are dropped and counted, the others are kept, nothing that reads them crashes, and the next file is sound.
my @crc_table = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0x82f63b78 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub crc32c {
  my ($bytes) = @_;
  my $crc = 0xffffffff;
  $crc = ($crc >> 8) ^ $crc_table[ ($crc ^ $_) & 255 ] for unpack 'C*', $bytes;
  return $crc ^ 0xffffffff;
}

# CHANGE gets the time of loss, the buckets and the counters, each record a string.
sub poison {
  my ($good, $change) = @_;
  my ($lost_at, $buckets, $usages) = unpack 'x16 Q3', $good;
  my $clock = substr $good, -64;
  my @records = unpack '(a40)*', substr $good, 40, -64;
  my @buckets = splice @records, 0, $buckets;
  $change->(\$lost_at, \@buckets, \@records);
  my $rest = pack 'Q3', $lost_at, scalar @buckets, scalar @records;
  my $header = substr $good, 0, 12;
  my $body = join '', $rest, @buckets, @records, $clock;
  return $header . pack('L', crc32c("$header\0\0\0\0$body")) . $body;
}

# What reads buckets and counters, by way of everything that shows them.
sub shown {
  my ($title) = @_;
  my ($out, $err) = ('', '');
  my $rc = $node->psql('postgres', <<~'SQL', stdout => \$out, stderr => \$err, on_error_stop => 1);
    SELECT count(u::text) > 0 FROM redoubt.usage AS u;
    SELECT count(e::text) > 0 FROM redoubt.explain_limit('regress_lead', 'redoubt.email_token', 'reveal') AS e;
    SQL
  return ok($rc == 0 && $out eq "t\nt", "$title: counters and limits can be read") || diag($out, $err);
}

$node->stop('fast');
my $good = read_file($file);
ok(poison($good, sub { }) eq $good, 'the test knows the form of the file');
my ($any_bucket, $any_usage);    # of a role in a database
poison($good, sub { ($any_bucket, $any_usage) = map { (grep { unpack 'L', $_ } @$_)[0] } @_[ 1, 2 ] });
my $lots = "\xff" x 8;
my %usage_field = (operation => [ 12, 4 ], charged => [ 16, 8 ], delayed => [ 24, 8 ], since => [ 32, 8 ]);
my %bucket_field = (kind => [ 12, 4 ], rule => [ 16, 8 ], tat => [ 24, 8 ], suspended => [ 32, 8 ]);

sub with { my ($record, $at, $bytes) = @_; substr($record, $at, length $bytes) = $bytes; return $record }

# Title -> how many buckets and counters are dropped, and the change.
my %poison = (
  'operation 5, one past the last' => [ 0, 1, sub { push @{ $_[2] }, with($any_usage, 12, pack 'L', 5) } ],
  'operation 6' => [ 0, 1, sub { push @{ $_[2] }, with($any_usage, 12, pack 'L', 6) } ],
  'three operations at once' => [ 0, 3, sub { unshift @{ $_[2] }, map { with($any_usage, 12, pack 'L', $_) } 5, 6, 0x80000001 } ],
  'a counter of no database, but of a role' => [ 0, 1, sub { push @{ $_[2] }, with($any_usage, 0, "\0" x 4) } ],
  'a counter of no role' => [ 0, 1, sub { push @{ $_[2] }, with($any_usage, 4, "\0" x 4) } ],
  'a bucket of no rule' => [ 1, 0, sub { push @{ $_[1] }, with($any_bucket, 16, "\0" x 8) } ],
  'a bucket of no database' => [ 1, 0, sub { push @{ $_[1] }, with($any_bucket, 0, "\0" x 4) } ],
  'a time of loss to come' => [ 1, 0, sub { ${ $_[0] } = ~0 } ],
  'a bucket and a counter' => [ 1, 1, sub { push @{ $_[1] }, with($any_bucket, 12, pack 'L', 3); push @{ $_[2] }, with($any_usage, 12, pack 'L', 99) } ],
  (map { my ($at, $size) = @{ $usage_field{$_} }; ("counter, all ones: $_" => [ 0, 1, sub { push @{ $_[2] }, with($any_usage, $at, substr $lots, 0, $size) } ]) } qw(operation charged delayed)),
  (map { my ($at, $size) = @{ $bucket_field{$_} }; ("bucket, all ones: $_" => [ 1, 0, sub { push @{ $_[1] }, with($any_bucket, $at, substr $lots, 0, $size) } ]) } qw(kind rule tat)),
  'counter, an impossible time' => [ 0, 1, sub { push @{ $_[2] }, with($any_usage, 32, pack 'q', -(2**62)) } ],
  'bucket, an impossible time' => [ 1, 0, sub { push @{ $_[1] }, with($any_bucket, 32, pack 'q', -(2**62)) } ],
);
for my $what (sort keys %poison) {
  my ($buckets, $usages, $change) = @{ $poison{$what} };
  write_file($file, poison($good, $change));
  $offset = $node->log_size;
  $node->start;
  like($node->log_text($offset), qr/WARNING:  redoubt: file "redoubt_limits": $buckets records of buckets and $usages of usage counters were out of range and dropped/,
    "$what: the log warns, once, and counts");
  shown($what);
  is(standing($node), '25 75', "$what: the good records are kept");
  $offset = $node->log_size;
  $node->restart;
  unlike($node->log_text($offset), qr/WARNING:  redoubt/, "$what: the file has healed");
  unlike($node->log_text($offset), qr/terminated by signal/, "$what: no crash");
  $node->stop('fast');
}
write_file($file, $good);
$node->start;

# A limit that is made after such a start has nothing that could be lost: this is how a block is lifted.
$node->stop('fast');
unlink $file or die "$file: $!";
$node->start;
blocked($node, 'a lost file: the bucket begins empty');
$node->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 100, '100 days')});
blocked($node, 'a lost file: so does that of a limit that is set once more in its place');
$node->admin(q{SELECT redoubt.drop_limit('regress_lead', 'redoubt.email_token', 'reveal'),
               redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 100, '100 days')});
reveal($node, 1);
is(standing($node), '1 99', 'a lost file: dropped and set anew, a limit is full');
$node->restart;
is(standing($node), '1 99', 'and stays so');
$node->admin(q{SELECT redoubt.set_limit('regress_agent', 'redoubt.email_token', 'masked', 5, '100 days')});
reveal_masked($node);
is($node->admin(q{SELECT remaining FROM redoubt.usage WHERE role = 'regress_agent'::regrole AND token_type = 'redoubt.email_token'::regtype AND operation = 'masked'}),
  4, 'a limit that is made later for the first time is full as well');
$node->admin(q{SELECT redoubt.drop_limit('regress_agent', 'redoubt.email_token', 'masked')});

# It refills as ever: a limit of 1000 a second is whole again after a second.
$node->stop('fast');
unlink $file or die "$file: $!";
$node->start;
$node->admin(q{SELECT redoubt.set_limit('regress_agent', 'redoubt.email_token', 'masked', 1000, '1 s')});
saved($node);
is($node->ask('regress_agent', q{SELECT redoubt.mask(email) LIKE 'p%@example.com' FROM person WHERE id = 1}), 't', 'an emptied bucket refills at its rate');

# When the file cannot be written, the server says so.
$node->stop('fast');
$node->start;
mkdir "$file.tmp" or die "$file.tmp: $!";
$offset = $node->log_size;
reveal_masked($node);
$node->wait_for_log(qr/redoubt: could not create file "redoubt_limits.tmp"/, $offset);
$node->poll_query_until('postgres', q{SELECT value LIKE 'not saved: %' FROM redoubt.status() WHERE item = 'limit counters'}) or die 'status is silent';
pass('a file that cannot be written is logged, and shown by status()');
rmdir "$file.tmp" or die "$file.tmp: $!";
$node->poll_query_until('postgres', q{SELECT value = 'saved' FROM redoubt.status() WHERE item = 'limit counters'}) or die 'not saved again';
pass('and saving goes on when it can be');

sub reveal_masked {
  my ($server) = @_;
  $server->ask('regress_agent', 'SELECT redoubt.mask(email) FROM person WHERE id = 1');
  return;
}

done_testing();
