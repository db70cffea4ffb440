// extension_guard.cpp - see extension_guard.h.
//
// PostgreSQL refuses to drop, but for CASCADE, and to make functions; it would rename the schema.  What it says of the
// first is to use CASCADE, with which the values would be gone; of the second, that permission is denied for language
// c.  Of labels it knows nothing, and a label that names no token type closes its table.
// Covered by sql/extension.sql and test/tap/restore.pl.
#include "pg/base/boundary.h"

#include "pg/base/catalog.h"
#include "pg/base/each.h"
#include "pg/protect/labels.h"
#include "pg/server/extension_guard.h"
#include "pg/types/token_type.h"

namespace redoubt::pg {
namespace {

constexpr int kListed = 20;

// Its schema holds the extension, which goes with it.
bool drops_redoubt(const DropStmt *drop) {
  if (drop->removeType != OBJECT_EXTENSION && drop->removeType != OBJECT_SCHEMA) return false;
  for (auto *name : list_of<Node>(drop->objects))
    if (strcmp(strVal(name), "redoubt") == 0) return true;
  return false;
}

bool renames_redoubt(const RenameStmt *rename) {
  return rename->renameType == OBJECT_SCHEMA && strcmp(rename->subname, "redoubt") == 0 &&
         OidIsValid(get_extension_oid("redoubt", true));
}

// Columns of tables that hold tokens, a line each.
char *token_columns() {
  StringInfoData lines;
  initStringInfo(&lines);
  int found = 0;
  catalog_each_relation("rpfm", [&lines, &found](Relation relation) {
    const TupleDesc descriptor = RelationGetDescr(relation);
    for (int i = 0; i < descriptor->natts; ++i) {
      const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
      if (attribute->attisdropped || type_carried(attribute->atttypid)->size == 0 || ++found > kListed) continue;
      appendStringInfo(&lines, "%scolumn %s of %s", found == 1 ? "" : "\n",
                       quote_identifier(NameStr(attribute->attname)),
                       quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                                  RelationGetRelationName(relation)));
    }
  });
  if (found > kListed) appendStringInfo(&lines, "\nand %d more", found - kListed);
  return lines.data;
}

// Columns and domains that are labelled, in the same form.
char *labelled_objects() {
  StringInfoData lines;
  initStringInfo(&lines);
  int found = 0;
  for (const auto *label : list_of<const Label>(labels_in_use()))
    if (++found <= kListed)
      appendStringInfo(&lines, "%s%s", found == 1 ? "" : "\n", getObjectDescription(&label->object, false));
  if (found > kListed) appendStringInfo(&lines, "\nand %d more", found - kListed);
  return lines.data;
}

void refuse_drop() {
  const char *lines = token_columns();
  if (lines[0] == '\0') {
    lines = labelled_objects();
    if (lines[0] == '\0') return;
    ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                    errmsg("cannot drop extension redoubt because labels name its token types"), errdetail("%s", lines),
                    errhint("These tables could not be read any more. Take the labels away first: SECURITY LABEL FOR "
                            "redoubt ON COLUMN ... IS NULL.")));
  }
  ereport(ERROR,
          (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
           errmsg("cannot drop extension redoubt because columns hold tokens"), errdetail("%s", lines),
           errhint("CASCADE would drop these columns. Get their values back first: ALTER TABLE ... ALTER COLUMN ... "
                   "TYPE text USING redoubt.detokenize(...), as a role that may reveal; or drop the columns.")));
}

// CREATE FUNCTION ... LANGUAGE c AS '$libdir/redoubt', ..., as a dump has it.
bool makes_own_function(const CreateFunctionStmt *create) {
  for (const auto *option : list_of<const DefElem>(create->options)) {
    if (strcmp(option->defname, "as") != 0) continue;
    const auto *parts = reinterpret_cast<const List *>(option->arg);
    return list_length(parts) == 2 && strcmp(strVal(linitial(parts)), "$libdir/redoubt") == 0;
  }
  return false;
}

}  // namespace

void extension_guard(const Node *statement) {
  if (IsA(statement, RenameStmt) && renames_redoubt(reinterpret_cast<const RenameStmt *>(statement)))
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("schema redoubt cannot be renamed"),
                    errhint("The extension finds its tables and token types in the schema of that name.")));
  if (IsA(statement, DropStmt) && drops_redoubt(reinterpret_cast<const DropStmt *>(statement))) return refuse_drop();
  if (IsA(statement, CreateFunctionStmt) && !superuser() &&
      makes_own_function(reinterpret_cast<const CreateFunctionStmt *>(statement)))
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied to make functions of redoubt by hand"),
             errhint("A member of redoubt_admin makes a token type with redoubt.create_token_type(). A dump that "
                     "has token types is restored by a superuser, who gives its tables their owners back.")));
}

}  // namespace redoubt::pg
