# audit_journal.pl - proves what the sync journal is for: with redoubt.audit_durability = sync no record of a value that
# was delivered is lost, whatever a crash of the operating system leaves of the segment, and the trail verifies.  And that
# the journal is believed in nothing: damaged, foreign, older, or not a file at all, it adds no line to a trail, stops no
# server, and is set aside; where none can be made, segments are flushed as without it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use RedoubtNode qw(read_file write_file);
use Test::More;

use constant PAGE => 4096;
my $node = RedoubtNode->make('audit_journal', conf => [ 'fsync = on', 'redoubt.audit_durability = sync' ]);
my $audit = $node->audit_directory;
my $journal = "$audit/journal";
my $reveal = 'SELECT redoubt.detokenize(email) FROM person WHERE id = 1';
my $used = q{SELECT value || ' ' || severity FROM redoubt.status() WHERE item = 'audit journal'};

# ---- its format

sub crc32c {
  my ($crc) = (0xFFFFFFFF);
  for my $byte (unpack 'C*', $_[0]) {
    $crc ^= $byte;
    $crc = ($crc >> 1) ^ ($crc & 1 ? 0x82F63B78 : 0) for 1 .. 8;
  }
  return $crc ^ 0xFFFFFFFF;
}

# The entries that belong together, as [segment, where the journal begins, offset, bytes, where it is].
sub entries {
  my ($file, $at, @all) = ($_[0] // read_file($journal), 0);
  while ($at < length $file) {
    my ($magic, $segment, $begin, $offset, $size, $crc) = unpack 'a8QQQLL', substr $file, $at, 40;
    last if $magic ne 'rdbtjrn1' || $size > 65_536;
    my $bytes = substr $file, $at + 40, $size;
    last if crc32c(substr($file, $at, 36) . $bytes) != $crc;
    last if @all && ($segment != $all[0][0] || $begin != $all[0][1] || $offset != $all[-1][2] + length $all[-1][3]);
    push @all, [ $segment, $begin, $offset, $bytes, $at ];
    $at += int((40 + $size + PAGE - 1) / PAGE) * PAGE;
  }
  return @all;
}

# A journal of one entry.
sub forged {
  my ($segment, $offset, $bytes) = @_;
  my $header = pack 'a8QQQL', 'rdbtjrn1', $segment, $offset, $offset, length $bytes;
  my $file = $header . pack('L', crc32c($header . $bytes)) . $bytes;
  return $file . "\0" x (4 * 1024 * 1024 - length $file);
}

# ---- what is done with it

sub segment { return sprintf '%s/segment-%010d.jsonl', $audit, $_[0] }
sub last_number { my ($n) = ($node->audit_segments)[-1] =~ /segment-(\d+)/; return $n + 0 }

# So many reveals, each in a flush of its own.
sub reveals {
  my ($count) = @_;
  $node->ask('regress_lead', "$reveal;" x $count);
  return;
}

# Ends the server as it is; what the operating system would have lost, the test takes from the files.
sub killed {
  $node->stop('immediate');
  return;
}

my $offset;

# The server starts and serves, with a message in the log or none about the journal; SEGMENT has CONTENT.
sub came_up {
  my ($what, $message, $segment, $content) = @_;
  $offset = $node->log_size;
  $node->start;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "$what: values can be revealed");
  is($node->verdict, 't', "$what: the trail verifies");
  my $log = $node->log_text($offset);
  $message ? like($log, $message, "$what: the log says so") : unlike($log, qr/sync journal|had lost/, "$what: nothing to say");
  unlike($log, qr/terminated by signal|PANIC/, "$what: no crash");
  is(read_file(segment($segment)), $content, "$what: the segment is as it was") if defined $content;
  is($node->admin($used), 'used ok', "$what: there is a journal");
  return;
}

reveals(5);
is(-s $journal, 4 * 1024 * 1024, 'the journal has its size');
is((stat $journal)[2] & 0777, 0600, 'and is the server\'s alone');
is($node->admin($used), 'used ok', 'status() says that it is used');
my @now = entries();
cmp_ok(scalar @now, '>=', 4, 'each flush puts an entry');
is($now[0][0], last_number(), 'of the current segment');
is($now[0][1], $now[0][2], 'from where the journal begins');
is($_->[3], substr(read_file(segment($_->[0])), $_->[2], length $_->[3]), 'what the segment holds') for @now;

# ---- crashes of the server alone: the segment has everything

killed();
my ($number, $whole) = (last_number(), read_file(segment(last_number())));
came_up('a crash of the server', undef, $number, $whole);

# Under clients; the third time the machine goes down as well, and the segment loses all that was not flushed of it.
for my $size ('16MB', '256kB', '1MB') {
  $node->set_conf("redoubt.audit_segment_size = $size");
  $node->reload;
  my $script = $node->basedir . '/one.sql';
  write_file($script, "$reveal;\n");
  my $intents = q{SELECT count(*) FROM redoubt.audit WHERE event = 'reveal' AND outcome = 'intent'};
  my $before = $node->admin($intents);
  my ($out, $err) = ('', '');
  my $clients = IPC::Run::start([ 'pgbench', '-n', '-c', '8', '-j', '2', '-T', '60', '-f', $script, '-h', $node->host, '-p', $node->port, '-U', 'regress_lead', 'postgres' ],
    '<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(120));
  my $written = sub { my $all = 0; $all += -s $_ // 0 for $node->audit_segments; return $all };
  my $from = $written->();
  for (1 .. 300) { last if $written->() > $from + 1_500_000; select undef, undef, undef, 0.1 }
  my ($postmaster) = read_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
  my @all = split ' ', `pgrep -P $postmaster`;
  $node->kill9;
  kill 'KILL', @all;
  $clients->finish;
  for (1 .. 100) { last unless grep { kill 0, $_ } @all; select undef, undef, undef, 0.1 }
  my ($served) = $out =~ /number of transactions actually processed: (\d+)/;
  cmp_ok($served // 0, '>', 100, "$size: clients were served");
  ($number, $whole) = (last_number(), read_file(segment(last_number())));
  my @entry = entries();
  if ($size eq '1MB' && @entry && $entry[0][0] == $number) {    # not where a segment had just begun
    write_file(segment($number), substr $whole, 0, $entry[0][1]);
    $whole = substr $whole, 0, $entry[-1][2] + length $entry[-1][3];
    came_up('a power failure under clients', qr/had lost records in a crash/, $number, $whole);
  } else {
    came_up("kill -9 of everything under clients, $size", undef, $number, $whole);
  }
  cmp_ok($node->admin($intents) - $before, '>=', $served + 1, "$size: each value that a client got is on record");
}

$node->set_conf('redoubt.audit_segment_size = 16MB');
$node->reload;

# ---- crashes of the operating system: the segment has what was flushed of it, in whatever state

my %left = (
  'nothing since the last flush of the segment' => sub { my ($content, $begin) = @_; substr $content, 0, $begin },
  'half of a line' => sub { my ($content, $begin) = @_; substr $content, 0, $begin + 100 },
  'some lines' => sub { my ($content, $begin, @entry) = @_; substr $content, 0, $entry[2][2] },
  'zeros' => sub { my ($content, $begin) = @_; substr($content, 0, $begin) . "\0" x (length($content) - $begin) },
  'more zeros' => sub { my ($content, $begin) = @_; substr($content, 0, $begin) . "\0" x (length($content) + 5000 - $begin) },
  'a gap' => sub { my ($content, $begin, @entry) = @_; substr($content, $begin, $entry[2][2] - $begin) =~ tr/\x01-\xff/\0/; $content },
);
for my $what (sort keys %left) {
  reveals(6);
  killed();
  my @entry = entries();
  cmp_ok(scalar @entry, '>=', 5, "$what: there are entries");
  my ($file, $begin) = (segment($entry[0][0]), $entry[0][1]);
  my $content = read_file($file);
  my $flushed = $entry[-1][2] + length $entry[-1][3];
  my $now = $left{$what}->(substr($content, 0, $flushed), $begin, @entry);
  write_file($file, $now);
  $offset = $node->log_size;
  $node->start;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "$what: values can be revealed");
  is(substr(read_file($file), 0, $flushed), substr($content, 0, $flushed), "$what: nothing is lost that was flushed");
  like($node->log_text($offset), qr/redoubt audit: segment $entry[0][0] had lost records in a crash; its last \d+ bytes are those of the journal/, "$what: the log says so");
  is($node->verdict, 't', "$what: the trail verifies");
}

# A segment that nobody may write to any more stops nothing where it lost nothing, and everything where it did.  So does a
# journal that the server may not read now, which still has what the segment lost.
reveals(4);
killed();
{
  my @entry = entries();
  my $file = segment($entry[0][0]);
  my $content = read_file($file);
  chmod 0400, $file or die;
  came_up('a read-only segment', undef, $entry[0][0], $content);
}
for my $case (
  [ 'a read-only segment that lost records', 'a segment that can be written again', 0400, \&segment ],
  [ 'a journal that cannot be opened', 'a journal that can be opened again', 0000, sub { $journal } ],
) {
  my ($what, $then, $mode, $file) = @$case;
  reveals(4);
  killed();
  my @entry = entries();
  my $segment = segment($entry[0][0]);
  my $content = read_file($segment);
  write_file($segment, substr $content, 0, $entry[0][1]);
  chmod $mode, $file->($entry[0][0]) or die;
  $node->start;
  $node->fails_with('regress_lead', $reveal, '58030', qr/could not restore the end of the audit trail: Permission denied/, "$what: nothing is revealed");
  chmod 0600, $file->($entry[0][0]) or die;
  reveals(1);
  is(read_file($segment), substr($content, 0, $entry[-1][2] + length $entry[-1][3]), "$then: nothing is lost");
}

# With the KEK changed meanwhile, lines are checked by the previous one.
{
  reveals(4);
  killed();
  my @entry = entries();
  my $content = read_file(segment($entry[0][0]));
  write_file(segment($entry[0][0]), substr $content, 0, $entry[0][1]);
  my $old = $node->basedir . '/kek';
  $node->set_conf("redoubt.kek_file = '" . $node->new_kek('kek2') . "'", "redoubt.previous_kek_file = '$old'");
  $node->start;
  $node->admin('SELECT redoubt.rewrap_keys()');
  reveals(1);
  is(read_file(segment($entry[0][0])), substr($content, 0, $entry[-1][2] + length $entry[-1][3]), 'another KEK: nothing is lost');
  is($node->verdict, 't', 'another KEK: the trail verifies');
}

# ---- journals that are not this trail's

# An older one: of a segment that is closed, or from earlier in this one.
reveals(4);
my $older = read_file($journal);
$node->restart;
reveals(4);
killed();
($number, $whole) = (last_number(), read_file(segment(last_number())));
write_file($journal, $older);
came_up('a journal of an older segment', undef, $number, $whole);

# Lines of the trail itself, once more; of another trail; and no lines at all.
my $other = RedoubtNode->make('audit_journal_other', conf => [ 'fsync = on', 'redoubt.audit_durability = sync' ]);
$other->ask('regress_lead', "$reveal;" x 4);
$other->stop('immediate');
my $foreign = read_file($other->audit_directory . '/journal');
my @foreign = entries($foreign);
cmp_ok(scalar @foreign, '>=', 3, 'another server has a journal');

my %strange = (
  'lines that were there before' => sub { my ($n, $content, @entry) = @_; forged($n, length $content, $entry[-1][3]) },
  'lines of another trail' => sub { my ($n, $content) = @_; forged($n, length $content, $foreign[0][3]) },
  'half a line' => sub { my ($n, $content) = @_; forged($n, length $content, '{"class_uid"') },
  'no lines' => sub { my ($n, $content) = @_; forged($n, length $content, "\n\n\n") },
  'beyond the end' => sub { my ($n, $content) = @_; forged($n, length($content) + 10, $foreign[0][3]) },
  'beyond all ends' => sub { my ($n) = @_; forged($n, 9_223_372_036_854_775_807, $foreign[0][3]) },
  'in the place of others' => sub { my ($n, $content, @entry) = @_; forged($n, $entry[0][2], 'x' x 100) },
  'another server\'s' => sub { $foreign },
  'a segment that is not there' => sub { my ($n, $content) = @_; forged($n + 5, 0, $foreign[0][3]) },
  'too short' => sub { my ($n, $content, @entry) = @_; substr $older, 0, 100_000 },
  'empty' => sub { '' },
);
for my $what (sort keys %strange) {
  reveals(4);
  killed();
  ($number, $whole) = (last_number(), read_file(segment(last_number())));
  my $strange = $strange{$what}->($number, $whole, entries());
  write_file($journal, $strange);
  # The other server's is of segment 1 or 2, which is long closed here, and other.
  came_up($what, qr/redoubt audit: the sync journal is set aside, as "journal.aside": its? /, $number, $whole);
  is(read_file("$audit/journal.aside"), $strange, "$what: it is kept");
}

# A copy that was taken under clients, the journal before the segment or after it, as a base backup would: what follows in the
# journal is either there, or continues the segment, or is not used.
for my $first ('the journal', 'the segment') {
  my $script = $node->basedir . '/one.sql';
  my ($out, $err) = ('', '');
  my $clients = IPC::Run::start([ 'pgbench', '-n', '-c', '4', '-j', '2', '-T', '2', '-f', $script, '-h', $node->host, '-p', $node->port, '-U', 'regress_lead', 'postgres' ],
    '<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(60));
  select undef, undef, undef, 1;
  my $copied = last_number();
  my $file = segment($copied);
  my %copy;
  for my $name ($first eq 'the journal' ? ($journal, $file) : ($file, $journal)) {
    $copy{$name} = read_file($name);
    select undef, undef, undef, 0.05;
  }
  $clients->finish;
  killed();
  my $content = read_file($file);
  write_file($_, $copy{$_}) for keys %copy;
  unlink grep { my ($n) = /segment-(\d+)/; $n > $copied } $node->audit_segments;    # begun after the copy
  $node->start;
  is($node->ask('regress_lead', $reveal), 'person1@example.com', "a copy, $first before: values can be revealed");
  is($node->verdict, 't', "a copy, $first before: the trail verifies");
  my $now = read_file($file);
  cmp_ok(length $now, '>=', length $copy{$file}, "a copy, $first before: nothing is cut off");
  ok($now eq substr($content, 0, length $now), "a copy, $first before: and no line is there that was not");
}

# ---- damage

reveals(6);
killed();
{
  my @entry = entries();
  my ($file, $content, $good) = (segment($entry[0][0]), read_file(segment($entry[0][0])), read_file($journal));
  my %damage = (
    'a bit of the first entry' => [ 50, 0 ],
    'a bit of a header' => [ $entry[2][4] + 20, 2 ],
    'a bit of a line' => [ $entry[2][4] + 200, 2 ],
    'a checksum' => [ $entry[3][4] + 37, 3 ],
    'a magic' => [ $entry[1][4], 1 ],
  );
  for my $what (sort keys %damage) {
    my ($at, $whole_entries) = @{ $damage{$what} };
    my $bad = $good;
    substr($bad, $at, 1) ^= "\x04";
    write_file($journal, $bad);
    write_file($file, substr $content, 0, $entry[0][1]);
    my $kept = $whole_entries == 0 ? $entry[0][1] : $entry[$whole_entries][2];
    came_up("$what is damaged", qr/set aside, as "journal.aside": it is damaged/, $entry[0][0], substr $content, 0, $kept);
    killed();
    unlink grep { my ($n) = /segment-(\d+)/; $n > $entry[0][0] } $node->audit_segments;
  }
  # The end of it may be half written: that is no damage.
  my $torn = $good;
  substr($torn, $entry[-1][4] + 60, 100) = "\0" x 100;
  write_file($journal, $torn);
  write_file($file, substr $content, 0, $entry[0][1]);
  came_up('the last entry is half written', qr/had lost records in a crash/, $entry[0][0], substr $content, 0, $entry[-1][2]);
  unlike($node->log_text($offset), qr/set aside/, 'the last entry is half written: it is not set aside');

  # Whatever lies there.
  srand 7;
  for my $round (1 .. 8) {
    killed();
    my $bad = $good;
    substr($bad, int rand 30_000, 1) = chr int rand 256 for 1 .. 1 + int rand 200;
    write_file($journal, $bad);
    unlink grep { my ($n) = /segment-(\d+)/; $n > $entry[0][0] } $node->audit_segments;
    write_file($file, substr $content, 0, $entry[0][1] + int rand 2000);
    $node->start;
    is($node->ask('regress_lead', $reveal) . $node->verdict, 'person1@example.comt', "random damage, round $round");
    my $now = read_file($file);
    is($now, substr($content, 0, length $now), "random damage, round $round: no line that was not there");
  }
}

# ---- what is no file of the server's

my $victim = $node->basedir . '/victim';
my %thing = (
  'a link' => sub { write_file($victim, 'v' x (4 * 1024 * 1024)); symlink $victim, $journal or die },
  'a second name' => sub { write_file($victim, 'v' x (4 * 1024 * 1024)); link $victim, $journal or die },
  'a folder' => sub { mkdir $journal or die },
  'a pipe' => sub { mkfifo($journal, 0600) or die },
);
for my $what (sort keys %thing) {
  reveals(2);
  killed();
  unlink $journal or die;
  $thing{$what}->();
  came_up("$what instead of a file", qr/set aside, as "journal.aside": it cannot be read/);
  ok(-f $journal && !-l $journal, "$what instead of a file: there is a file");
  is(read_file($victim), 'v' x (4 * 1024 * 1024), "$what instead of a file: nothing else is written to") if -e $victim;
  unlink $victim, "$audit/journal.aside";
  rmdir "$audit/journal.aside";
}

# While the server runs: flushes go to the segment until the next one.
for my $change ([ 'read-only', sub { chmod 0400, $journal or die } ], [ 'gone', sub { unlink $journal or die } ],
  [ 'another file', sub { rename $journal, "$journal.old" or die; write_file($journal, read_file("$journal.old")) } ]) {
  my ($what, $do) = @$change;
  reveals(2);
  $do->();
  reveals(3);
  isnt($node->admin($used), undef, "a journal that is $what: status() says something");
  is($node->verdict, 't', "a journal that is $what: the trail verifies");
  like($node->admin($used), qr/^not used, flushes take longer: .+ warning$/, "a journal that is $what: status() warns") unless $what eq 'another file';
  $node->restart;
  reveals(1);
  is($node->admin($used), 'used ok', "a journal that was $what: there is one again");
}

# ---- no room for one

SKIP: {
  my ($full, $mount, $stop) = RedoubtNode->make_small('audit_journal_full', '2M',
    conf => [ 'fsync = on', 'redoubt.audit_durability = sync', 'redoubt.audit_segment_size = 64kB' ]);
  skip 'this machine lets nobody mount a file system', 6 unless $full;
  is($full->ask('regress_lead', "$reveal;" x 3), join("\n", ('person1@example.com') x 3), 'no room for a journal: values can be revealed');
  is($full->admin($used), 'not used, flushes take longer: No space left on device warning', 'no room for a journal: status() says so');
  $full->shell("test ! -e $mount/audit/journal && test ! -e $mount/audit/journal.new");
  is($full->verdict, 't', 'no room for a journal: the trail verifies');
  $full->ask('regress_lead', "$reveal;" x 100);
  is($full->verdict, 't', 'no room for a journal: over several segments, too');
  like($full->admin($used), qr/No space left/, 'no room for a journal: and each time');
  $stop->();
}

# ---- switched off and on by a reload

for my $to ('async', 'sync') {
  $node->set_conf("redoubt.audit_durability = $to");
  $node->reload;
  $node->poll_query_until('postgres', q{SELECT value FROM redoubt.status() WHERE item = 'audit durability'}, $to) or die;
  reveals(3);
  is($node->verdict, 't', "$to: the trail verifies");
}
is($node->admin($used), 'used ok', 'the journal is used again');

# It is full once and again.
$node->ask('regress_lead', "$reveal;" x 2500);
reveals(3);
killed();
{
  my @entry = entries();
  my $file = segment($entry[0][0]);
  my $content = read_file($file);
  cmp_ok($entry[0][1], '>', 100_000, 'a journal that was full begins anew');
  write_file($file, substr $content, 0, $entry[0][1]);
  $node->start;
  reveals(1);
  my $flushed = $entry[-1][2] + length $entry[-1][3];
  ok(substr(read_file($file), 0, $flushed) eq substr($content, 0, $flushed), 'and gives back what was put since');
  is($node->verdict, 't', 'and the trail verifies');
}

done_testing();
