// support.go - the support application through pgx.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

var background = context.Background()

func connect(user string) *pgx.Conn {
	connection, err := pgx.Connect(background, fmt.Sprintf("host=%s port=%s dbname=%s user=%s",
		os.Getenv("PGHOST"), os.Getenv("PGPORT"), os.Getenv("PGDATABASE"), user))
	if err != nil {
		panic(err)
	}
	return connection
}

func shown(value interface{}) string {
	switch value := value.(type) {
	case nil:
		return "NULL"
	case []string:
		return "[" + strings.Join(value, ", ") + "]"
	default:
		return fmt.Sprint(value)
	}
}

func run(connection *pgx.Conn, sql string, parameters ...interface{}) (string, error) {
	found, err := connection.Query(background, sql, parameters...)
	if err != nil {
		return "", err
	}
	defer found.Close()
	var rows []string
	for found.Next() {
		values, err := found.Values()
		if err != nil {
			return "", err
		}
		row := make([]string, len(values))
		for at, value := range values {
			row[at] = shown(value)
		}
		rows = append(rows, strings.Join(row, " | "))
	}
	if found.Err() != nil {
		return "", found.Err()
	}
	if len(found.FieldDescriptions()) == 0 {
		return fmt.Sprint(found.CommandTag().RowsAffected(), " rows"), nil
	}
	if rows == nil {
		return "no row", nil
	}
	return strings.Join(rows, "; "), nil
}

func attempt(name string, code func() (string, error)) {
	result, err := code()
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		result = "error " + refused.Code
	} else if err != nil {
		result = "error " + regexp.MustCompile(`\d{5,}`).ReplaceAllString(err.Error(), "OID")
	}
	fmt.Printf("%s\t%s\n", name, strings.ReplaceAll(result, "\n", "\\n"))
}

func main() {
	connection := connect("support_user")
	if os.Getenv("REDOUBT_RECIPE") != "" {
		if err := registerTokens(background, connection); err != nil {
			panic(err)
		}
	}
	file, err := os.Open(os.Args[1])
	if err != nil {
		panic(err)
	}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		fields := strings.Split(lines.Text(), "\t")
		var parameters []interface{}
		for _, field := range fields[2:] {
			switch field[0] {
			case 't':
				parameters = append(parameters, field[2:])
			case 'i':
				number, _ := strconv.Atoi(field[2:])
				parameters = append(parameters, number)
			case 'a':
				parameters = append(parameters, strings.Split(field[2:], ","))
			default:
				parameters = append(parameters, nil)
			}
		}
		attempt(fields[0], func() (string, error) {
			result, err := run(connection, fields[1], parameters...)
			if strings.HasPrefix(fields[0], "plan: ") {
				result = strings.Split(result, "; ")[0]
			}
			return result, err
		})
	}
	attempt("in bulk", func() (string, error) {
		batch := &pgx.Batch{}
		for n := 0; n < 3; n++ {
			batch.Queue("INSERT INTO customer (email, name) VALUES ($1, $2)", fmt.Sprintf("many%d@example.com", n), fmt.Sprintf("Many %d", n))
		}
		if err := connection.SendBatch(background, batch).Close(); err != nil {
			return "", err
		}
		return run(connection, "SELECT email, name FROM customer WHERE name LIKE 'Many%' ORDER BY id")
	})
	attempt("savepoint", func() (string, error) {
		outer, err := connection.Begin(background)
		if err != nil {
			return "", err
		}
		inner, err := outer.Begin(background)
		if err != nil {
			return "", err
		}
		_, failed := inner.Exec(background, "INSERT INTO customer (email) VALUES ('ben.61@example.org')")
		if err := inner.Rollback(background); err != nil {
			return "", err
		}
		var email string
		err = outer.QueryRow(background, "INSERT INTO customer (email) VALUES ('after.savepoint@example.org') RETURNING email").Scan(&email)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(failed != nil, " ", email), outer.Commit(background)
	})
	attempt("COPY in", func() (string, error) {
		_, err := connection.CopyFrom(background, pgx.Identifier{"customer"}, []string{"email", "name"},
			pgx.CopyFromRows([][]interface{}{{"copy1@example.com", "Copy One"}, {"copy2@example.com", "Copy Two"}}))
		if err != nil {
			return "", err
		}
		return run(connection, "SELECT email, name FROM customer WHERE name LIKE 'Copy%' ORDER BY id")
	})
	attempt("simple protocol", func() (string, error) {
		return run(connection, "SELECT id, email FROM customer WHERE email = $1", pgx.QuerySimpleProtocol(true), "anna.65@example.org")
	})
	attempt("an array", func() (string, error) {
		var aliases []string
		err := connection.QueryRow(background, "SELECT aliases FROM customer WHERE id = 92").Scan(&aliases)
		return shown(aliases), err
	})
	attempt("a limit", func() (string, error) {
		other := connect("support_limited")
		defer other.Close(background)
		seen, err := run(other, "SELECT email FROM customer WHERE id < 21")
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			seen = "error " + refused.Code
		}
		after, err := run(other, "SELECT 1")
		return seen + "; then " + after, err
	})
}
