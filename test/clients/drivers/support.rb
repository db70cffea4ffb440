# support.rb - the support application through ruby-pg.
require 'pg'

$stdout.sync = true

def open_as(user)
  PG.connect(host: ENV['PGHOST'], port: ENV['PGPORT'], dbname: ENV['PGDATABASE'], user: user).tap do |db|
    # As ActiveRecord does: results of known types become Ruby's.
    warnings, $stderr = $stderr, File.open(File::NULL, 'w')
    db.type_map_for_results = PG::BasicTypeMapForResults.new(db)
    db.type_map_for_queries = PG::BasicTypeMapForQueries.new(db)
    $stderr = warnings
  end
end

$db = open_as('support_user')
if (recipe = ENV['REDOUBT_RECIPE'])
  db = $db
  eval(File.read(recipe), binding, recipe)
end
$stderr.reopen(File::NULL)  # "no type cast defined for type", once for each type

def shown(value)
  case value
  when nil then 'NULL'
  when Array then "[#{value.map { |one| shown(one) }.join(', ')}]"
  else value.to_s
  end
end

def rows(found)
  found.empty? ? 'no row' : found.map { |row| row.map { |value| shown(value) }.join(' | ') }.join('; ')
end

def run(sql, parameters = [])
  result = $db.exec_params(sql, parameters)
  result.nfields.zero? ? "#{result.cmd_tuples} rows" : rows(result.values)
end

def attempt(name)
  result =
    begin
      yield
    rescue PG::Error => error
      $db.exec('ROLLBACK') unless $db.transaction_status.zero?
      "error #{error.result&.error_field(PG::PG_DIAG_SQLSTATE)} #{error.class}"
    end
  puts "#{name}\t#{result.to_s.gsub("\n", '\n')}"
end

KINDS = { 't' => ->(text) { text }, 'i' => ->(text) { text.to_i }, 'a' => ->(text) { text.split(',') }, 'n' => ->(_) {} }.freeze
File.foreach("#{__dir__}/operations.tsv", chomp: true) do |line|
  next if line.start_with?('#')

  name, sql, *parameters = line.split("\t", -1)
  attempt(name) do
    result = run(sql, parameters.map { |one| KINDS[one[0]].call(one[2..]) })
    name.start_with?('plan: ') ? result.split('; ')[0] : result
  end
end

attempt('whole row written back') do
  row = $db.exec('SELECT email, name, phone, aliases, notes FROM customer WHERE id = 60').values[0]
  run('UPDATE customer SET email = $1, name = $2, phone = $3, aliases = $4, notes = $5 WHERE id = 60', row)
  run('SELECT email, name, phone, aliases[1] FROM customer WHERE id = 60')
end
attempt('savepoint') do
  $db.transaction do |db|
    db.exec('SAVEPOINT one')
    seen =
      begin
        db.exec("INSERT INTO customer (email) VALUES ('ben.61@example.org')")
        'no error'
      rescue PG::Error => error
        db.exec('ROLLBACK TO SAVEPOINT one')
        error.class
      end
    "#{seen} #{run("INSERT INTO customer (email) VALUES ('after.savepoint@example.org') RETURNING email")}"
  end
end
attempt('ten times') do
  $db.prepare('look_up', 'SELECT id FROM customer WHERE email = $1')
  (70...80).map { |n| $db.exec_prepared('look_up', ["anna.#{5 * n}@example.org"]).values.flatten }
end
attempt('row by row') do
  $db.send_query('SELECT id, email FROM customer WHERE id < 96 AND id > 80 ORDER BY id')
  $db.set_single_row_mode
  found = []
  $db.get_result.stream_each_row { |row| found << row }
  $db.get_result
  rows(found)
end
attempt('COPY in') do
  $db.copy_data('COPY customer (email, name) FROM STDIN') do
    $db.put_copy_data("copy1@example.com\tCopy One\ncopy2@example.com\tCopy Two\n")
  end
  run("SELECT email, name FROM customer WHERE name LIKE 'Copy%' ORDER BY id")
end
attempt('COPY out') do
  all = +''
  $db.copy_data('COPY (SELECT id, email, name FROM customer WHERE id IN (90, 91) ORDER BY id) TO STDOUT') do
    while (line = $db.get_copy_data)
      all << line
    end
  end
  all
end
attempt('classes of results') { $db.exec('SELECT email, name, phone, id FROM customer WHERE id = 94').values[0].map(&:class) }
attempt('an array') do
  value = $db.exec('SELECT aliases FROM customer WHERE id = 92').getvalue(0, 0)
  "#{value.class} #{shown(value)}"
end
attempt('a limit') do
  other = open_as('support_limited')
  seen =
    begin
      other.exec('SELECT email FROM customer WHERE id < 21').ntuples
    rescue PG::Error => error
      "error #{error.result.error_field(PG::PG_DIAG_SQLSTATE)} #{error.class}"
    end
  "#{seen}; then #{other.exec('SELECT 1').getvalue(0, 0)}"
end
