#!/usr/bin/env perl
# cases.pl - runs the cases of a table against a server and compares what is charged.
#
#   cases.pl [--hidden] [--only TEXT] CASES.tsv EXPECTED.tsv
#
# The server is named by PGHOST, PGPORT; its superuser is postgres, its database
# postgres, and the objects of setup.sql and objects.sql are there.  Each case runs in
# a session of its own as its role.  Charged values are those of redoubt.usage, operation
# read, of the role, or of all roles where the case names none; probes are operation
# probe.
# EXPECTED.tsv is over_counts.tsv: it lists the cases that are charged more than they deserve: name,
# cost, probes, reason.  Such a case passes with exactly those figures.
# With --hidden each SELECT runs in a node of another library (test/tap/lib/crowd.c), where there are no meters: a case
# then passes where the statement is refused, or no less is charged than it deserves, a value in the place of a probe
# or not, or as much as EXPECTED.tsv says, which is hidden.tsv then.
# Prints a line for each case that is not exact; the last line is "N passed, N failed".
use strict;
use warnings;
use FindBin qw($Bin);
use IO::Handle;
use IPC::Open2 qw(open2);

my ($only, $hidden) = ('', 0);
if (@ARGV && $ARGV[0] eq '--hidden') { shift; $hidden = 1; }
if (@ARGV && $ARGV[0] eq '--only') { shift; $only = shift; }
my ($cases_file, $over_file) = @ARGV;
my ($host, $port) = ($ENV{PGHOST}, $ENV{PGPORT} // 5432);
delete $ENV{PGUSER};
$ENV{PGDATABASE} = 'postgres';
# A slow server or machine is given more time, as by test/run.
my $seconds = 120 * ($ENV{REDOUBT_PATIENCE} // 1);
$ENV{PGOPTIONS} = "-c client_min_messages=warning -c statement_timeout=${seconds}s";

sub psql {
  my ($user, @arguments) = @_;
  open my $pipe, '-|', 'psql', '-XAtq', '-U', $user, @arguments or die "psql: $!\n";
  local $/;
  my $output = <$pipe> // '';
  close $pipe;
  return $output;
}

# The superuser's one session, which outlives the cases.
my ($answers, $asked);

sub ask {
  my ($query) = @_;
  local $SIG{PIPE} = 'IGNORE';
  open2($answers, $asked, 'psql', '-XAtq', '-U', 'postgres') unless $asked;
  print $asked "$query;\n\\echo END\n";
  $asked->flush;
  my $output = '';
  while (my $line = <$answers>) {
    return $output if $line eq "END\n";
    $output .= $line;
  }
  die "the server does not answer\n";
}

# (values, probes) charged since the last call.
sub charged {
  my ($role) = @_;
  my $who = $role eq 'None' ? "role <> 'postgres'::regrole" : "role = '$role'::regrole";
  my @figures = split ' ', ask(
    "select coalesce(sum(charged) filter (where operation = 'read'), 0) || ' ' ||
            coalesce(sum(charged) filter (where operation = 'probe'), 0) from redoubt.usage where $who");
  die "the server does not answer\n" unless @figures == 2;
  ask('select redoubt.reset_usage()');
  return @figures;
}

sub read_table {
  my ($file) = @_;
  open my $in, '<', $file or die "$file: $!\n";
  my @rows;
  while (my $line = <$in>) {
    chomp $line;
    push @rows, [split /\t/, $line, -1] unless $line =~ /^#/ || $line eq '';
  }
  shift @rows;    # the header
  return @rows;
}

# Runs a case as it is, but hidden; true where what it reads is refused.
sub refused_hidden {
  my ($setup, $sql, $role) = @_;
  local $ENV{PGOPTIONS} = "$ENV{PGOPTIONS} -c crowd.hide=on";
  my @arguments = ($setup ne '' && $setup ne 'STRIP' ? ('-c', $setup) : (), '-c', $sql);
  my $pid = open my $pipe, '-|';
  defined $pid or die "fork: $!\n";
  if ($pid == 0) {
    open STDERR, '>&', \*STDOUT;
    exec 'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-U', $role, @arguments or exit 1;
  }
  my $refused = 0;
  while (my $line = <$pipe>) {
    print $line if $ENV{VERBOSE} && $line =~ /^ERROR/; $refused = 1 if $line =~ /^ERROR:  (0A000|42501|55000)$/; }
  close $pipe;
  return $refused;
}

# A table that is labelled after a session has cached a plan that reads it.
sub run_late {
  my ($role) = @_;
  psql('postgres', '-c', "create table late_t(id int, email text); insert into late_t select i, 'l' || i from generate_series(1, 1000) i; grant select on late_t to app");
  my $label = "psql -XAtq -U postgres -c \"security label for redoubt on column late_t.email is 'text_token'\"";
  open my $pipe, '|-', "psql -XAtq -U $role >/dev/null 2>&1" or die "psql: $!\n";
  print $pipe "set plan_cache_mode = force_generic_plan;\nprepare p as select email from late_t;\nexecute p;\n\\! $label\nexecute p;\n";
  close $pipe;
}

sub run_case {
  my ($setup, $sql, $mode, $role) = @_;
  $role = 'app' if $role eq 'None';
  return run_late($role) if $mode eq 'late';
  if ($mode =~ /^ext(\d*)$/) {
    system($^X, "$Bin/extended.pl", $role, $1 eq '' ? 0 : $1, $setup, $sql, '10');
    return;
  }
  $setup = '' if $setup eq 'STRIP';    # always on
  psql($role, ($setup ne '' ? ('-c', $setup) : ()), '-c', $sql);
}

my %over = map { $_->[0] => $_ } read_table($over_file);
my ($passed, $failed, $exact) = (0, 0, 0);
open STDERR, '>', '/dev/null' unless $ENV{VERBOSE};
charged('None');
for my $case (read_table($cases_file)) {
  my ($category, $name, $setup, $sql, $cost, $probes, $mode, $role) = @$case;
  next if $only ne '' && index("$category: $name", $only) < 0;
  s/HOST/$host/g, s/PORT/$port/g for $sql;
  next if $hidden && ($mode ne 'q' || $sql !~ /\bselect\b/i);
  my $began = time;
  my $refused = 0;
  if ($hidden) {
    $refused = refused_hidden($setup, $sql, $role eq 'None' ? 'app' : $role);
  } else {
    run_case($setup, $sql, $mode, $role);
  }
  my $ended = time - $began < $seconds;
  my ($values, $probed) = charged($role);
  my $key = "$category: $name";
  if ($hidden) {
    my $known = $over{$key};
    my $deserved = $known ? $known->[1] + $known->[2] : $cost + ($probes eq 'any' ? 0 : $probes);
    if ($refused || ($ended && $values + $probed >= $deserved)) { $passed++; next; }
    printf "    %s %s: %s values, %s probes; deserves %s, %s\n", $ended ? 'UNDER' : 'UNFINISHED', $key, $values, $probed, $cost, $probes;
    $failed++;
    next;
  }
  if ($values == $cost && ($probes eq 'any' || $probed == $probes)) {
    $passed++;
    $exact++;
    print "    no longer over-counted: $key\n" if $over{$key};
    next;
  }
  my $known = $over{$key};
  my $listed = $known && $values == $known->[1] && ($known->[2] eq 'any' || $probed == $known->[2]);
  my $under = $values < $cost || ($probes ne 'any' && $probed < $probes);
  printf "    %s %s: %s values, %s probes; deserves %s, %s%s\n",
    !$ended ? 'UNFINISHED' : $under ? 'UNDER' : $listed ? 'listed' : 'OVER', $key, $values, $probed, $cost, $probes, $listed ? " ($known->[3])" : '';
  if ($listed && !$under) { $passed++ } else { $failed++ }
}
print "    $exact exact\n";
print "$passed passed, $failed failed\n";
exit($failed == 0 && $passed > 0 ? 0 : 1);
