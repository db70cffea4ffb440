# RT_SiteConfig.pm - Request Tracker against the throw-away server; test/clients/rt/client.sh says where all that is.
#
# RT reads it as part of package RT, without strict.  Mail goes into a file.  RT writes into the workspace alone.
package RT;

my $folder = $ENV{REDOUBT_RT_FOLDER} // die 'REDOUBT_RT_FOLDER is not set';

# Where RT keeps compiled pages and what else it writes: package variables, which Debian sets to folders of the system.
$RT::VarPath         = $folder;
$RT::MasonDataDir    = "$folder/pages";
$RT::MasonSessionDir = "$folder/sessions";

Set($rtname, 'desk.example');
Set($Organization, 'desk.example');
Set($Timezone, 'UTC');
Set($CorrespondAddress, 'desk@desk.example');
Set($CommentAddress, 'desk-comment@desk.example');
Set($WebDomain, 'localhost');
Set($WebPort, 80);
Set($WebPath, '');

Set($DatabaseType, 'Pg');
Set($DatabaseHost, $ENV{PGHOST});
Set($DatabasePort, $ENV{PGPORT});
Set($DatabaseName, $ENV{REDOUBT_RT_DATABASE});
Set($DatabaseUser, 'rt_user');
Set($DatabasePassword, 'unused');
Set($DatabaseAdmin, 'postgres');

Set($LogToSyslog, undef);
Set($LogToSTDERR, 'error');
Set($LogToFile, undef);
Set($StatementLog, undef);
Set($DevelMode, 0);
Set($WebSecureCookies, 0);
Set($ShowHistory, 'always');

# Whom RT writes to is a result like any other: one line a mail.
Set($MailCommand, sub {
  my ($entity) = @_;
  open my $out, '>>:encoding(UTF-8)', "$folder/mail" or die "mail: $!";
  my $head = $entity->head;
  my @line = map { my $value = $head->get($_) // ''; $value =~ s/\s+/ /g; "$_: $value" } qw(From To Cc Bcc Subject);
  print {$out} join(' | ', @line), "\n";
  close $out or die "mail: $!";
  return 1;
});

1;
