# clock.pl - proves that nobody gains or loses a budget by a clock that is set: forward and back, on a running server, over
# a crash and a restart; that the step is in the log and in the trail; and that times that people are told are the wall's.
# The clock is lib/clock.c, which is built here.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use RedoubtNode qw(write_file);
use Test::More;

my $place = PostgreSQL::Test::Utils::tempdir();
my ($library, $file) = ("$place/clock.so", "$place/offset");
system('cc', '-shared', '-fPIC', '-O1', '-o', $library, "$FindBin::RealBin/lib/clock.c") == 0 or die 'the clock cannot be built';

# set_clock DAYS: how far ahead the clock is from now on of what runs with it.
sub set_clock {
  my ($days) = @_;
  open my $out, -e $file ? '+<:raw' : '>:raw', $file or die "$file: $!";
  print {$out} pack('q', $days * 86400) or die "$file: $!";
  close $out or die "$file: $!";
  return;
}
sub with_clock {
  my ($do) = @_;
  local %ENV = (%ENV, LD_PRELOAD => $library, CLOCK_OFFSET_FILE => $file);
  return $do->();
}
my $node = RedoubtNode->make('clock', streaming => 1);
$node->stop;
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
sub reveal { my ($count) = @_; $node->ask('regress_lead', "$reveal;\n" x $count); return }
sub remaining { return $node->admin(q{SELECT remaining FROM redoubt.usage WHERE role = 'regress_lead'::regrole AND operation = 'reveal'}) }

sub blocked {
  my ($title) = @_;
  return $node->fails_with('regress_lead', $reveal, '53400', qr/limit on reveal of redoubt.email_token exceeded/, $title);
}

set_clock(0);
with_clock(sub { $node->start });
$node->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 10, '100 days')});
reveal(10);
blocked('the budget is used up');

# steps TITLE, OFFSET, DIRECTION: the clock is set; the budget is as it was, and the step is recorded.
sub steps {
  my ($title, $offset, $how) = @_;
  my $log = $node->log_size;
  set_clock($offset);
  ok($node->wait_for_log(qr/WARNING:  redoubt: the clock was set $how by [\d.]+ s/, $log), "$title: the log says so");
  is($node->admin(q{SELECT operation || ' ' || detail FROM redoubt.audit WHERE event = 'clock' ORDER BY sequence DESC LIMIT 1}) =~ /\Aset the clock was set $how by/ ? 1 : 0,
    1, "$title: the trail says so");
  return;
}
steps('ten days forward', 10, 'forward');
blocked('ten days forward: no new budget');
is(remaining(), '0', 'ten days forward: nothing remains');
is($node->admin(q{SELECT next_allowed - now() BETWEEN '9 days' AND '11 days' FROM redoubt.usage WHERE role = 'regress_lead'::regrole AND operation = 'reveal'}),
  't', 'ten days forward: the next value is told by the wall');
my ($when) = $node->fails_with('regress_lead', $reveal, '53400', qr/allowed at/, 'ten days forward: in the error, too') =~ /allowed at (.*)\.$/m;
is($node->admin("SELECT '$when'::timestamptz - now() BETWEEN '9 days' AND '11 days'"), 't', 'ten days forward: by the wall') or diag $when;

# What is used up in the wrong future is not lacking later.
$node->admin(q{SELECT redoubt.set_limit('regress_agent', 'redoubt.email_token', 'masked', 100, '10 s')});
my $mask = 'SELECT redoubt.mask(email) FROM person WHERE id = 1';
$node->ask('regress_agent', "$mask;\n" x 90);
steps('back again', 0, 'back');
blocked('back again: still used up');
is($node->admin(q{SELECT next_allowed - now() BETWEEN '9 days' AND '11 days' FROM redoubt.usage WHERE role = 'regress_lead'::regrole AND operation = 'reveal'}),
  't', 'back again: and no longer than before');
$node->admin('SELECT pg_sleep(2)');
is($node->ask('regress_agent', "$mask;\n" x 15) =~ tr/\n//, 14, 'back again: what had refilled since is there, not days later');

# Further back, over a crash and a restart.
steps('a day back', -1, 'back');
blocked('a day back: still used up');
my $log = $node->log_size;
$node->stop('immediate');
with_clock(sub { $node->start });
blocked('a day back and a crash: still used up');
$node->stop;
set_clock(30);
with_clock(sub { $node->start });
ok($node->wait_for_log(qr/WARNING:  redoubt: the clock was set forward by/, $log), 'set while the server was down: the log says so');
blocked('set while the server was down: no new budget');
is($node->admin('SELECT count(*) FROM redoubt.audit WHERE event = $$clock$$'), '4', 'four steps are in the trail');
is($node->verdict, 't', 'which verifies');

# The file of another machine has the wall to go by: what is further back counts as no time.
$node->stop;
my $counters = $node->data_dir . '/redoubt_limits';
my $content = RedoubtNode::read_file($counters);
is(length($content) % 40, (40 + 64) % 40, 'the file ends with the clocks');

# One role's block is lifted, for one operation.
with_clock(sub { $node->start });
is($node->admin(q{SELECT redoubt.lift_block('regress_lead', 'redoubt.email_token', 'masked'), redoubt.lift_block('regress_agent', 'redoubt.email_token', 'reveal')}), '0|0', 'lift_block() of what is not blocked');
blocked('which helps nobody');
is($node->admin(q{SELECT redoubt.lift_block('regress_lead', 'redoubt.email_token', 'reveal')}), '1', 'lift_block() of what is');
reveal(10);
blocked('gives all of the budget, once');

# After the file was lost, everybody is empty; a block is lifted as documented, either way.
$node->stop;
unlink $counters or die "unlink: $!";
with_clock(sub { $node->start });
like($node->log_text, qr/file "redoubt_limits" is missing: what was charged to limits is unknown/, 'a lost file of counters is told');
blocked('a lost file of counters: everybody is empty');
is($node->admin(q{SELECT redoubt.lift_block('regress_lead', NULL, NULL)}), '1', 'a lost file of counters: lift_block() of everything');
$node->stop;
with_clock(sub { $node->start });
reveal(1);
$node->stop;
with_clock(sub { $node->start });
reveal(9);
blocked('a lost file of counters: which gives one budget');
$node->admin(q{SELECT redoubt.drop_limit('regress_lead', 'redoubt.email_token', 'reveal')});
$node->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 5, '100 days')});
reveal(5);
blocked('a limit that is set anew is full, once');
$node->stop;

# Shares: a primary and a standby that admit half each; promotion keeps what the standby has counted.
$node->set_conf('redoubt.budget_share = 0.5', 'hot_standby = on');
$node->start;
$node->admin(q{SELECT redoubt.drop_limit('regress_lead', 'redoubt.email_token', 'reveal'); SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 10, '100 days')});
$node->admin(q{SELECT redoubt.set_limit('regress_lead', 'redoubt.email_token', 'reveal', 3, 'statement')});
# (Made before the file was lost, by a clock that is right again: so it begins empty.)
$node->admin(q{SELECT redoubt.lift_block('regress_lead', NULL, 'reveal')});
$node->admin('SELECT pg_sleep(1.2)');
$node->backup('base');
my $standby = RedoubtNode->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
reveal(5);
blocked('half of the budget on the primary');
$standby->ask('regress_lead', "$reveal;\n" x 4);
is($standby->admin(q{SELECT value FROM redoubt.status() WHERE item = 'budget share'}), '0.5 of each limit', 'status() says so');
my $standing = $standby->admin(q{SELECT charged, remaining FROM redoubt.usage WHERE role = 'regress_lead'::regrole AND operation = 'reveal'});
like($standing, qr/\|1\z/, 'half of the budget on the standby');
is($standby->admin('SELECT kind, object FROM redoubt.check_restore()'), '', 'check_restore() runs on a standby');
$node->stop;
$standby->promote;
is($standby->admin(q{SELECT charged, remaining FROM redoubt.usage WHERE role = 'regress_lead'::regrole AND operation = 'reveal'}), $standing, 'a promotion keeps counters');
$standby->admin('SELECT pg_sleep(1.2)');
$standby->stop('immediate');
$standby->start;
is($standby->admin(q{SELECT charged, remaining FROM redoubt.usage WHERE role = 'regress_lead'::regrole AND operation = 'reveal'}), $standing, 'and so does a crash after it');
$standby->ask('regress_lead', $reveal);
$standby->fails_with('regress_lead', $reveal, '53400', qr/exceeded/, 'the rest, and no more');
$standby->set_conf('redoubt.budget_share = 1');
$standby->reload;
ok($standby->poll_query_until('postgres', q{SELECT setting = '1' FROM pg_settings WHERE name = 'redoubt.budget_share'}), 'alone, it takes all of the budget');
$standby->fails_with('regress_lead', $reveal, '53400', qr/exceeded/, 'and the part of it that is used stays used');
is($standby->admin(q{SELECT redoubt.lift_block('regress_lead', 'redoubt.email_token', 'reveal')}), '1', 'until it is lifted');
$standby->ask('regress_lead', "$reveal;\n" x 10);
$standby->fails_with('regress_lead', $reveal, '53400', qr/exceeded/, 'which gives the whole of it');

done_testing();
