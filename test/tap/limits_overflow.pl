# limits_overflow.pl - proves that filling the table of buckets gains nobody a budget:
# it stays within redoubt.max_subjects, only full buckets make room, subjects without one
# share their limit's overflow bucket, whose debt a bucket of their own begins with, and
# both the server log and the audit trail tell.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use RedoubtNode;
use Test::More;

my $node = RedoubtNode->make('limits_overflow', conf => ['redoubt.max_subjects = 100']);
my $first = 'SELECT redoubt.mask(email) FROM person WHERE id = 1';
$node->admin(<<'SQL');
CREATE ROLE regress_crowd;
GRANT EXECUTE ON FUNCTION redoubt.mask(redoubt.email_token) TO regress_crowd;
GRANT SELECT ON person TO regress_crowd;
DO $$ BEGIN FOR n IN 1..130 LOOP EXECUTE format('CREATE ROLE regress_crowd%s LOGIN IN ROLE regress_crowd', n); END LOOP; END $$;
SELECT redoubt.set_limit('regress_crowd', 'redoubt.email_token', 'masked', 3, '100 days');
SQL

# Each number in RANGE asks once in a session of its own; returns how many were served.
sub served {
  my (@range) = @_;
  my $served = 0;
  for my $n (@range) {
    $served++ if $node->psql('postgres', $first, extra_params => [ '-U', "regress_crowd$n" ]) == 0;
  }
  return $served;
}

is(served(1 .. 100), 100, 'a hundred roles have buckets of their own');
unlike($node->log_text, qr/no room for another limit bucket/, 'and that is no news');
is(served(101 .. 130), 3, 'thirty more share one budget');
like($node->log_text, qr/redoubt: no room for another limit bucket; roles share one/, 'the log tells');
is($node->admin(q{SELECT count(*) > 0 FROM redoubt.audit WHERE event = 'limit overflow' AND detail LIKE '%all 100 buckets are in use'}), 't', 'so does the audit trail');
is($node->admin(q{SELECT value, severity FROM redoubt.status() WHERE item = 'limit buckets'}), '100 of 100|error', 'and so does status()');
is(served(1 .. 5), 5, 'who has a bucket keeps it');
is(served(1 .. 5), 5, 'to the last value of the limit');
is(served(1 .. 5), 0, 'and no more');

# Restarted with room for all, the thirty begin with the debt of what they shared.
$node->set_conf('redoubt.max_subjects = 200');
$node->restart;
is(served(120 .. 130), 0, 'with room made, the overflow counts against each who had none');
is(served(6 .. 10), 5, 'and against nobody else');

# With less room than buckets the rest falls to the overflow bucket, not away.
$node->set_conf('redoubt.max_subjects = 100');
$node->restart;
is(served(1 .. 5), 0, 'fewer places than buckets: nobody has a new budget');
is(served(101 .. 130), 0, 'not the overflow either');

# Full buckets make room.  This limit's are full again after a moment.  As the counters are lost, every bucket begins
# empty as of the start, and is like a new one a second after it.
$node->admin(q{SELECT redoubt.drop_limit('regress_crowd', 'redoubt.email_token', 'masked')});
$node->stop('fast');
unlink $node->data_dir . '/redoubt_limits' or die;
$node->start;
$node->admin(q{SELECT redoubt.set_limit('regress_crowd', 'redoubt.email_token', 'masked', 1000, '1 s')});
my $offset = $node->log_size;
sleep 2;
is(served(1 .. 130), 130, 'drained buckets are dropped for others');
unlike($node->log_text($offset), qr/no room for another limit bucket/, 'without overflow');

# A bucket in use is not dropped, drained or not: the sessions hold it.
my @held;
for my $n (1 .. 3) {
  my $session = $node->background_psql('postgres', extra_params => [ '-U', "regress_crowd$n" ]);
  $session->query_safe($first);
  push @held, $session;
}
is(served(4 .. 130), 127, 'others come and go');
$node->admin(q{SELECT redoubt.set_limit('regress_crowd', 'redoubt.email_token', 'masked', 5, '1 s', burst => 5)});
for my $session (@held) {
  $session->query_safe($first) for 1 .. 2;
  $session->quit;
}
is($node->admin(q{SELECT count(*) FROM redoubt.usage WHERE operation = 'masked' AND role IN ('regress_crowd1'::regrole, 'regress_crowd2'::regrole, 'regress_crowd3'::regrole) AND charged >= 3}), 3,
  'the sessions were charged on their own');

done_testing();
