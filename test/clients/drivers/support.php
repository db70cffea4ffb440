<?php
// support.php - the support application through PDO; the argument "emulated" has PDO put parameters into the text.
declare(strict_types=1);

$emulated = ($argv[1] ?? '') === 'emulated';

function open_as(string $user): PDO {
    global $emulated;
    return new PDO(sprintf('pgsql:host=%s;port=%s;dbname=%s', getenv('PGHOST'), getenv('PGPORT'), getenv('PGDATABASE')), $user, '', [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_EMULATE_PREPARES => $emulated,
    ]);
}

$db = open_as('support_user');

function rows(array $found): string {
    $shown = fn($value) => $value === null ? 'NULL' : (string) $value;
    return implode('; ', array_map(fn($row) => implode(' | ', array_map($shown, $row)), $found)) ?: 'no row';
}

function run(string $sql, array $parameters = []): string {
    global $db;
    $statement = $db->prepare($sql);
    foreach ($parameters as $at => $value) {
        $statement->bindValue($at + 1, $value, is_int($value) ? PDO::PARAM_INT : ($value === null ? PDO::PARAM_NULL : PDO::PARAM_STR));
    }
    $statement->execute();
    return $statement->columnCount() ? rows($statement->fetchAll(PDO::FETCH_NUM)) : $statement->rowCount() . ' rows';
}

function attempt(string $name, callable $code): void {
    global $db;
    try {
        $result = $code();
    } catch (PDOException $error) {
        $result = 'error ' . $error->getCode();
        if ($db->inTransaction()) $db->rollBack();
    }
    echo $name, "\t", str_replace("\n", '\n', (string) $result), "\n";
}

$kinds = [
    't' => fn($text) => $text, 'i' => fn($text) => (int) $text, 'n' => fn($text) => null,
    // PDO has no arrays: applications write them out.
    'a' => fn($text) => '{' . implode(',', array_map(fn($one) => '"' . $one . '"', explode(',', $text))) . '}',
];
foreach (file(__DIR__ . '/operations.tsv', FILE_IGNORE_NEW_LINES) as $line) {
    if ($line[0] === '#') continue;
    $parameters = explode("\t", $line);
    $name = array_shift($parameters);
    $sql = preg_replace('/\$\d/', '?', array_shift($parameters));
    attempt($name, function () use ($name, $sql, $parameters, $kinds) {
        $result = run($sql, array_map(fn($p) => $kinds[$p[0]](substr($p, 2)), $parameters));
        return str_starts_with($name, 'plan: ') ? explode('; ', $result)[0] : $result;
    });
}

attempt('whole row written back', function () use ($db) {
    $row = $db->query('SELECT email, name, phone, aliases, notes FROM customer WHERE id = 60')->fetch(PDO::FETCH_NUM);
    run('UPDATE customer SET email = ?, name = ?, phone = ?, aliases = ?, notes = ? WHERE id = 60', $row);
    return run('SELECT email, name, phone, aliases[1] FROM customer WHERE id = 60');
});
attempt('savepoint', function () use ($db) {
    $db->beginTransaction();
    $db->exec('SAVEPOINT one');
    $seen = 'no error';
    try {
        $db->exec("INSERT INTO customer (email) VALUES ('ben.61@example.org')");
    } catch (PDOException $error) {
        $seen = $error->getCode();
        $db->exec('ROLLBACK TO SAVEPOINT one');
    }
    $after = run("INSERT INTO customer (email) VALUES ('after.savepoint@example.org') RETURNING email");
    $db->commit();
    return "$seen $after";
});
attempt('ten times', function () use ($db) {
    $look = $db->prepare('SELECT id FROM customer WHERE email = ?');
    $found = [];
    for ($n = 70; $n < 80; $n++) {
        $look->execute(['anna.' . 5 * $n . '@example.org']);
        $found[] = $look->fetchColumn();
    }
    return implode(' ', $found);
});
attempt('COPY in', function () use ($db) {
    $db->pgsqlCopyFromArray('customer', ["copy1@example.com\tCopy One", "copy2@example.com\tCopy Two"], "\t", '\\\\N', 'email,name');
    return run("SELECT email, name FROM customer WHERE name LIKE 'Copy%' ORDER BY id");
});
attempt('COPY out', function () use ($db) {
    return count($db->pgsqlCopyToArray('customer'));
});
attempt('a limit', function () {
    $other = open_as('support_limited');
    try {
        $seen = count($other->query('SELECT email FROM customer WHERE id < 21')->fetchAll());
    } catch (PDOException $error) {
        $seen = 'error ' . $error->getCode();
    }
    return $seen . '; then ' . $other->query('SELECT 1')->fetchColumn();
});
