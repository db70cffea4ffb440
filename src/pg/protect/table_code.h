// table_code.h - what a table runs on its own rows: triggers and expressions.
#ifndef REDOUBT_PG_PROTECT_TABLE_CODE_H
#define REDOUBT_PG_PROTECT_TABLE_CODE_H

#include "pg/base/boundary.h"

#include "pg/base/each.h"

namespace redoubt::pg {

struct TableCode {
  bool row_trigger;     // an untrusted row trigger sees the whole row, old and new
  bool foreign;         // rows go to a foreign server
  Bitmapset *columns;   // attribute numbers that untrusted functions are given by constraints, generated
                        // columns, partition keys, expression and partial indexes
  Bitmapset *computed;  // attribute numbers that stored generated columns are computed from
  Bitmapset *cascaded;  // attribute numbers whose new values a foreign key copies into a column that does not protect
                        // them
};

// table_parts lists, of the table and its partitions, those that have something of their own: triggers, checks,
// generated columns, expressions and collations of indexes, a key or bounds of partitions, or a foreign server.  A row
// meets nothing in the others that it does not meet in these.  Remembered until a relation changes, so that a statement
// opens none of the others.  Palloc'd.  The caller holds a lock on the table.
List *table_parts(Oid relid);

// each_table_part calls visit(relation) for each of table_parts.
template <typename Visit>
void each_table_part(Oid relid, Visit &&visit) {
  for (const Oid part : oids_of(table_parts(relid))) {
    const LOCKMODE lock = part == relid ? NoLock : AccessShareLock;
    Relation relation = try_relation_open(part, lock);
    if (relation == nullptr) continue;
    visit(relation);
    relation_close(relation, lock);
  }
}

// each_index calls visit(index) for each index of the table.
template <typename Visit>
void each_index(Relation relation, Visit &&visit) {
  for (const Oid index : oids_of(RelationGetIndexList(relation)))
    if (Relation opened = try_relation_open(index, AccessShareLock); opened != nullptr) {
      visit(opened);
      relation_close(opened, AccessShareLock);
    }
}

// columns_in returns the attribute numbers of what an expression reads of the table with the number; 0: the whole row.
Bitmapset *columns_in(Node *expression, Index varno = 1);

// table_code looks at the table and, if it is partitioned, at its partitions, for
// commands of the kind.  Palloc'd in the current context.  The caller holds a lock on the table.
TableCode table_code(Oid relid, CmdType command);

// True if what the table runs on its rows calls the function: an expression, or the condition of a trigger.
bool table_calls(Oid relid, Oid function);

// The columns by which a unique index or an exclusion constraint says whether a value is there already; none of other
// indexes.  Of tokens anybody sees it, so they are left out.
Bitmapset *unique_keys(Relation relation, Relation index);

// Columns that untrusted functions are given by row-level security policies which apply to
// `user` reading the table.
Bitmapset *rls_policy_columns(Oid relid, Oid user);

// A foreign key: the columns `from` of the table `relid` name the columns `to` of another.  Of one that is gone, no
// keys.
struct ForeignKey {
  Oid relid;
  int keys;
  AttrNumber from[INDEX_MAX_KEYS];
  AttrNumber to[INDEX_MAX_KEYS];
};
ForeignKey foreign_key(Oid constraint);

// The expressions of an extended statistics object, as a list; or null.
Node *statistics_expressions(Oid statistics);

// True if an expression, or also a query in it, calls a function that is not trusted.
bool calls_untrusted(const void *tree, bool in_queries = false);

}  // namespace redoubt::pg
#endif
