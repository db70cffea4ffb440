# audit_archive.pl - proves that closed segments leave the trail by archive_audit() and redoubt.audit_retention alone: what
# is left verifies, a segment that is gone otherwise is missing, what was archived can be put back, nothing is lost by a
# crash at any moment, and whoever tampers with the archive, its list or its directory is found out or refused.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Fcntl qw(:flock);
use File::Basename qw(basename);
use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

my $node = RedoubtNode->make('audit_archive', conf => [ 'redoubt.audit_segment_size = 64kB', 'restart_after_crash = on' ]);
$node->admin('CREATE ROLE regress_auditor LOGIN IN ROLE redoubt_auditor; CREATE ROLE regress_manager LOGIN IN ROLE redoubt_admin');
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1;';
my $audit = $node->audit_directory;
my $list = "$audit/archived.jsonl";
my $archive = $node->basedir . '/archive';
my $all = q{SELECT count(*) FROM redoubt.archive_audit('infinity')};

sub segment { return sprintf '%s/segment-%010d.jsonl', $_[1] // $audit, $_[0] }
# More closed segments.
sub more { $node->ask('regress_lead', $reveal x ($_[0] // 120)); return scalar $node->audit_segments }
sub summary { return $node->ask('regress_auditor', 'SELECT ok, archived, breaks, problem FROM redoubt.verify_audit()') }
sub rows { return $node->ask('regress_auditor', 'SELECT segment, last_segment, state, broken_line, problem FROM redoubt.verify_audit_segments()') }
sub archived { my @files = sort glob("$archive/segment-*"); return @files }

# Who may, and where to.
cmp_ok(more(), '>', 3, 'there are closed segments');
$node->fails_with($_, $all, '42501', qr/permission denied/, "$_ may not archive") for qw(regress_lead regress_manager);
$node->fails_with('regress_auditor', $all, '55000', qr/redoubt\.audit_archive_directory is not set.*HINT/s, 'without a directory nothing is archived');
is($node->admin(q{SELECT count(*) FROM redoubt.status() WHERE item = 'audit archive'}), '0', 'and status() does not call that a failure');
$node->fails_with('regress_auditor', qq{SET redoubt.audit_archive_directory = '/tmp'}, '55P02', qr/cannot be changed now/, 'no session says where to');
sub archive_to {
  my ($directory) = @_;
  $node->set_conf("redoubt.audit_archive_directory = '$directory'");
  $node->reload;
  $node->poll_query_until('postgres', "SELECT current_setting('redoubt.audit_archive_directory') = '$directory'") or die 'the reload had no effect';
  return;
}
archive_to($archive);
my $before = () = $node->audit_segments;
$node->fails_with('regress_auditor', $all, '58030', qr/could not open ".*archive": No such file/, 'a directory that is not there');
mkdir $archive, 0700 or die;
chmod 0770, $archive or die;
$node->fails_with('regress_auditor', $all, '55000', qr/may be written by others than its owner/, 'a directory that others may write to');
chmod 0700, $archive or die;
archive_to($audit);
$node->fails_with('regress_auditor', $all, '55000', qr/is the directory of the trail itself/, 'the directory of the trail');
archive_to('archive');
archive_to($archive);
is(scalar($node->audit_segments), $before, 'nothing was moved by then');
is($node->ask('regress_auditor', q{SELECT count(*) FROM redoubt.archive_audit(now() - interval '1 day')}), '0', 'what is younger stays');

# Segments are moved, with an event that has their digests, and what is left verifies.
my %content = map { basename($_) => read_file($_) } $node->audit_segments;
my $closed = keys(%content) - 1;
my $records = $node->ask('regress_auditor', 'SELECT max(sequence) FROM redoubt.audit');
is($node->ask('regress_auditor', q{SELECT string_agg(format('%s %s %s', segment, bytes, sha256), E'\n' ORDER BY segment) FROM redoubt.archive_audit('infinity')}),
  join("\n", map { "$_ " . length($content{ basename(segment($_)) }) . ' ' . sha256_hex($content{ basename(segment($_)) }) } 1 .. $closed), 'it says what it moved');
is(join(' ', map { basename($_) } archived()), join(' ', map { basename(segment($_)) } 1 .. $closed), 'all closed segments are in the archive');
is(scalar(grep { read_file($_) ne $content{ basename($_) } } archived()), 0, 'as they were');
is(scalar(grep { (stat $_)[2] & 077 } archived(), $list), 0, 'nobody else may read them');
is(join(' ', map { basename($_) } $node->audit_segments), basename(segment($closed + 1)), 'the current one stays');
is(scalar(glob("$audit/*.index")) // '', '', 'their indexes are gone');
is(summary(), "t|$closed|0|", 'the trail verifies');
my ($first) = read_file(segment($closed + 1)) =~ /"sequence":(\d+)/;
is($node->ask('regress_auditor', 'SELECT verified_from FROM redoubt.verify_audit()'), $first, 'and it says from where on');
is(rows(), "1|$closed|archived||\n" . ($closed + 1) . '|' . ($closed + 1) . '|verified||', 'segment by segment, too');
is($node->ask('regress_auditor', q{SELECT count(*), sum(count) > 0 FROM redoubt.audit WHERE event = 'trail' AND operation = 'archive_audit' AND outcome = 'success'
    AND session_user_name = 'regress_auditor' AND detail ~ 'segment-\d{10}\.jsonl: sequence \d+ to \d+, \d+ bytes, sha256 [0-9a-f]{64}, last mac [0-9a-f]{64}; to /'}),
  "$closed|t", 'each is an event');
like($node->ask('regress_auditor', q{SELECT detail FROM redoubt.audit WHERE event = 'trail' AND detail LIKE 'segment-0000000001%'}),
  qr/sha256 @{[ sha256_hex($content{ basename(segment(1)) }) ]}/, 'that has its digest');
is($node->ask('regress_auditor', $all), '0', 'nothing is left to archive');
like($node->admin(q{SELECT value, severity FROM redoubt.status() WHERE item = 'audit archive'}), qr/looked through.*\|ok/, 'status() says so');
$node->restart;
$node->ask('regress_lead', $reveal);
is(summary(), "t|$closed|0|", 'a restart goes on after it');
is($node->ask('regress_auditor', "SELECT count(*) > 0 FROM redoubt.audit WHERE sequence <= $first"), 'f', 'what is archived is not shown');

# A segment that is gone otherwise is missing, and what is left is verified.
more();
$closed = 1 + $closed;
my $gone = segment($closed + 1);
rename $gone, "$gone.aside" or die;
is($node->verdict, 'f|' . basename($gone) . '||the segment is missing', 'a segment that was not archived is missing');
like(rows(), qr/^1\|@{[ $closed - 1 ]}\|archived\|\|\n$closed\|$closed\|verified\|\|\n@{[ $closed + 1 ]}\|@{[ $closed + 1 ]}\|missing\|\|the segment is missing\n(\d+)\|\g1\|verified\|\|/,
  'what follows it is verified');
cmp_ok($node->ask('regress_auditor', 'SELECT records FROM redoubt.verify_audit()'), '>', 60, 'and counted');
is(summary(), 'f|' . ($closed - 1) . '|1|the segment is missing', 'one break');
rename "$gone.aside", $gone or die;

# Put back, a segment verifies; it can be archived again.
copy(segment(1, $archive), segment(1)) or die;
is(summary(), 't|' . ($closed - 2) . '|0|', 'an archived segment that is put back verifies');
is($node->ask('regress_auditor', 'SELECT min(segment) FROM redoubt.audit'), '1', 'and is shown');
my $lines = () = read_file($list) =~ /\n/g;
is($node->ask('regress_auditor', q{SELECT min(segment) FROM redoubt.archive_audit('infinity')}), '1', 'it is archived again');
is(scalar(() = read_file($list) =~ /"archived":1,/g), 1, 'and kept once');
write_file(segment(2), read_file(segment(2, $archive)) =~ s/"count":1/"count":2/r);
like($node->verdict, qr/^f\|segment-0000000002\.jsonl\|\d+\|the line was altered/, 'doctored and put back, it does not verify');
$node->fails_with('regress_auditor', $all, 'XX001', qr/is not the one that was archived before/, 'nor is it archived');
rename segment(2, $archive), segment(2, $archive) . '.aside' or die;
$node->fails_with('regress_auditor', $all, 'XX001', qr/is not the one that was archived before/, 'nor where the archive lacks it');
ok(!-e segment(2, $archive), 'where it does not come to lie');
unlink segment(2);
rename segment(2, $archive) . '.aside', segment(2, $archive) or die;
is(substr(summary(), 0, 1), 't', 'without it all is well');

# The list.
sub tampered {
  my ($title, $change, $pattern) = @_;
  my $good = read_file($list);
  my $changed = $change->($good);
  unlink $list;
  write_file($list, $changed) if defined $changed;
  like($node->verdict, $pattern, "archived.jsonl: $title");
  unlink $list;
  write_file($list, $good);
  chmod 0600, $list;
  is($node->verdict, 't', "archived.jsonl: $title: well again when put back");
  return;
}
tampered('removed', sub { undef }, qr/^f\|segment-0000000001\.jsonl\|\|the segment is missing$/);
tampered('a line removed', sub { $_[0] =~ s/^\{"archived":2,.*\n//mr }, qr/^f\|segment-0000000002\.jsonl\|\|the segment is missing$/);
tampered('the last line removed', sub { $_[0] =~ s/[^\n]*\n\z//r }, qr/^f\|segment-\d+\.jsonl\|\|the segment is missing$/);
tampered('half of the last line', sub { substr $_[0], 0, length($_[0]) - 5 }, qr/^f\|segment-\d+\.jsonl\|\|the segment is missing$/);
tampered('a line altered', sub { $_[0] =~ s/^(\{"archived":2,.*"bytes":)\d/${1}9/mr }, qr/^f\|segment-0000000002\.jsonl\|\|the segment is missing$/);
tampered('a line for another segment', sub { $_[0] =~ s/^\{"archived":2,(.*)\n/{"archived":3,$1\n/mr }, qr/^f\|segment-0000000002\.jsonl\|\|/);
tampered('rubbish added', sub { "$_[0]rubbish\n" }, qr/^f\|archived\.jsonl\|\d+\|the line is not authentic/);
tampered('a forged line of an unknown key', sub { my $f = $_[0] =~ s/"archived":1,"format":1,"kek":"[0-9a-f]+","verified":1/"archived":1,"format":1,"kek":"0000000000000000","verified":1/r; $f },
  qr/^f\|\|\|1 of the segments 1 to 1 cannot be verified/);
tampered('lines exchanged', sub { $_[0] =~ s/^(.*\n)(.*\n)/$2$1/r }, qr/^t$/);
for my $what (qw(pipe symlink directory)) {
  rename $list, "$list.aside" or die;
  $what eq 'pipe' ? mkfifo($list, 0600) : $what eq 'symlink' ? symlink("$list.aside", $list) : mkdir($list);
  $node->fails_with('regress_auditor', 'SELECT * FROM redoubt.verify_audit()', '58030', qr/could not open ".*archived\.jsonl"/, "archived.jsonl: a $what");
  $what eq 'directory' ? rmdir $list : unlink $list;
  rename "$list.aside", $list or die;
}
{
  open my $lock, '<', $list or die;
  flock $lock, LOCK_EX or die;
  $node->fails_with('regress_auditor', $all, '55006', qr/another process archives/, 'one archives at a time');
  close $lock;
  opendir my $directory, $archive or die;
}

# The archive's directory: nothing there is overwritten or followed.
more();
my ($next) = ($node->audit_segments)[0] =~ /segment-0*(\d+)/;
my $aside = $node->basedir . '/aside';
write_file($aside, 'precious');
symlink $aside, segment($next, $archive) or die;
$node->fails_with('regress_auditor', $all, '58030', qr/could not open/, 'a symlink in the archive is not followed');
unlink segment($next, $archive);
symlink $aside, segment($next, $archive) . '.new' or die;
write_file(segment($next, $archive), 'another');
$node->fails_with('regress_auditor', $all, '58P02', qr/another segment is in the archive.*HINT/s, 'a file in the archive is not overwritten');
is(read_file($aside) . read_file(segment($next, $archive)), 'preciousanother', 'nothing there was written to');
ok(-e segment($next), 'and the segment stays');
unlink segment($next, $archive), segment($next, $archive) . '.new';
rename segment($next), "$aside.segment" or die;
symlink "$aside.segment", segment($next) or die;
$node->fails_with('regress_auditor', $all, '58030', qr/could not open/, 'a segment that is a symlink is not archived');
unlink segment($next);
rename "$aside.segment", segment($next) or die;

# What does not verify can be archived, but archiving hides nothing.
my $good = read_file(segment($next));
write_file(segment($next), $good =~ s/intent/intend/r);
my ($out, $err) = ('', '');
$node->psql('postgres', qq{SELECT segment FROM redoubt.archive_audit('infinity')}, stdout => \$out, stderr => \$err, extra_params => [ '-U', 'regress_auditor' ]);
like($err, qr/WARNING:  segment "\Q@{[ basename(segment($next)) ]}\E" of the audit trail was archived though it does not verify/, 'a warning');
like($node->verdict, qr/^f\|\Q@{[ basename(segment($next)) ]}\E\|\d+\|the segment did not verify when it was archived$/, 'and the trail does not verify');
like($node->ask('regress_auditor', qq{SELECT outcome, detail FROM redoubt.audit WHERE event = 'trail' AND detail LIKE '@{[ basename(segment($next)) ]}%'}),
  qr/^failure\|.*does not verify from line \d+ on/, 'the event says so');
copy(segment($next, $archive), segment($next)) or die;
write_file(segment($next), $good);
is(substr($node->verdict, 0, 1), 't', 'put back as it was, it does');
# From here on with a whole trail.
write_file($list, join '', grep { !/^\{"archived":$next,/ } map { "$_\n" } split /\n/, read_file($list));
unlink segment($next, $archive);
is($node->ask('regress_auditor', $all), '1', 'and is archived anew');
is($node->verdict, 't', 'the trail verifies');

# A crash at any moment loses nothing.
SKIP: {
  my @moments = map { my $call = $_; map { "$call:$_" } 1 .. { fsync => 5, unlink => 4, link => 1, pwrite64 => 3 }->{$call} } qw(fsync unlink link pwrite64);
  $node->set_conf('fsync = on');
  $node->reload;
  for my $moment (@moments) {
    my ($call, $when) = split /:/, $moment;
    more(60);
    my %before = map { basename($_) => read_file($_) } $node->audit_segments;
    my $session = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'regress_auditor' ]);
    my $pid = $session->query('SELECT pg_backend_pid()');
    my $strace = eval {
      IPC::Run::start([ 'strace', '-q', '-o', '/dev/null', '-e', "trace=$call", '-e', "inject=$call:signal=KILL:when=$when", '-p', $pid ],
        '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null', IPC::Run::timeout(60));
    };
    my $attached = 0;
    for (1 .. 100) {
      last if !$strace || !$strace->pumpable || ($attached = read_file("/proc/$pid/status") =~ /^TracerPid:\s+[1-9]/m);
      select undef, undef, undef, 0.1;
    }
    skip 'strace is not there or may not attach', 1 unless $attached;
    my $log = $node->log_size;
    eval { $session->query($all) };
    eval { $session->quit };
    eval { $strace->finish };
    $node->came_back($log);
    is($node->verdict, 't', "killed at $call $when: the trail verifies");
    my %after = map { my $file = $_; -e $file ? (basename($file) => read_file($file)) : () } $node->audit_segments, archived();
    is(join(' ', grep { my $was = $before{$_}; !defined $after{$_} || index($after{$_}, $was) != 0 } sort keys %before), '', "killed at $call $when: no segment is lost");
    cmp_ok($node->ask('regress_auditor', $all), '>=', 0, "killed at $call $when: archiving goes on");
    is($node->verdict . ' ' . scalar(glob("$archive/*.new") // ''), 't ', "killed at $call $when: the trail verifies again");
  }
}

# Retention.
more();
$node->set_conf("redoubt.audit_retention = '1s'");
sleep 2;
$node->reload;
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_ls_dir('redoubt_audit') AS f WHERE f LIKE 'segment-%.jsonl'}) or die 'the worker does not archive';
is($node->verdict, 't', 'retention: what is left verifies');
is($node->ask('regress_auditor', q{SELECT count(*) > 0 FROM redoubt.audit WHERE event = 'trail' AND record #>> '{unmapped,backend_type}' = 'background worker'}), 't', 'retention: and it is recorded');
chmod 0777, $archive or die;
more();
my $log = $node->log_size;
sleep 2;
$node->reload;
ok($node->wait_for_log(qr/ERROR:  redoubt\.audit_archive_directory may be written by others/, $log), 'retention: what is in the way is logged');
like($node->admin(q{SELECT value, severity FROM redoubt.status() WHERE item = 'audit archive'}), qr/failed .*\|warning/, 'retention: and shown by status()');
$node->ask('regress_lead', $reveal);
chmod 0700, $archive or die;
$node->set_conf('redoubt.audit_retention = 0');
$node->restart;
is($node->verdict, 't', 'the trail verifies');

# Another KEK: what the list has is sealed by the new one as well.
my $old = $node->basedir . '/kek';
$node->set_conf("redoubt.kek_file = '" . $node->new_kek('kek2') . "'", "redoubt.previous_kek_file = '$old'");
$node->restart;
$node->poll_query_until('postgres', sprintf(q{SELECT count(DISTINCT substring(l FROM '"kek":"([0-9a-f]+)"')) = 2 FROM regexp_split_to_table(pg_read_file('%s'), E'\n') AS l WHERE l <> ''}, $list))
  or die 'the list was not sealed anew';
is($node->verdict, 't', 'with both KEKs the trail verifies');
$node->ask('regress_lead', 'SELECT 1');
$node->ask('regress_auditor', $all);
$node->set_conf("redoubt.previous_kek_file = ''");
$node->restart;
is($node->verdict, 't', 'and without the old one, once what it chained is archived');

done_testing();
