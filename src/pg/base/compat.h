// compat.h - where PostgreSQL's versions differ: 15 to 18, one source.
//
// Everything that has to be written differently for another major version is here, under
// a name that says what it does; no other file asks for PG_VERSION_NUM, but the tables of nodes
// and expressions in floor `plan`, and explain.cpp, whose hook is another one from 18 on.  What exists in
// some versions only answers "nothing" in the others (an empty list, false), so callers
// need no condition either.  Nothing here decides anything about protection.
// Covered by test/compat, which builds and tests with each version.
#ifndef REDOUBT_PG_BASE_COMPAT_H
#define REDOUBT_PG_BASE_COMPAT_H

#include "pg/base/boundary.h"

extern "C" {
#include "access/tableam.h"
#include "catalog/pg_constraint.h"
#include "common/jsonapi.h"
#include "libpq/libpq-be.h"
#include "optimizer/pathnode.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker_internals.h"
#include "utils/guc_tables.h"
#include "utils/wait_event.h"
}

#if PG_VERSION_NUM < 150000
#error "Redoubt needs PostgreSQL 15 or later"
#endif

// ---- declarations that only a macro can vary

// The magic block, from 18 on with the library's name and version.
#if PG_VERSION_NUM >= 180000
#define REDOUBT_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "redoubt", .version = REDOUBT_VERSION)
#else
#define REDOUBT_MODULE_MAGIC PG_MODULE_MAGIC
#endif

// Parameters and arguments of ExecutorRun; 18 dropped execute_once.
#if PG_VERSION_NUM >= 180000
#define REDOUBT_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define REDOUBT_RUN_ARGUMENTS query, direction, count
#else
#define REDOUBT_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define REDOUBT_RUN_ARGUMENTS query, direction, count, execute_once
#endif

// Raises, unless the caller of an input function wants to be told without an error, which it may from 16 on.
#if PG_VERSION_NUM >= 160000
#define compat_errsave(context, report) errsave(context, report)
#else
#define compat_errsave(context, report) \
  do {                                  \
    (void)(context);                    \
    ereport(ERROR, report);             \
  } while (false)
#endif

namespace redoubt::pg {

// Does the caller of an input function want to be told of a refused value without an error?
inline bool compat_wants_soft_errors(const FunctionCallInfoBaseData *call) {
#if PG_VERSION_NUM >= 160000
  return call->context != nullptr && IsA(call->context, ErrorSaveContext);
#else
  (void)call;
  return false;
#endif
}

// ---- settings of PostgreSQL's own: 16 finds them by name.  Null for one that the server was built without.

inline config_generic *compat_find_setting(const char *name) {
#if PG_VERSION_NUM >= 160000
  return find_option(name, false, true, ERROR);
#else
  config_generic **const settings = get_guc_variables();
  for (int i = 0; i < GetNumConfigOptions(); ++i)
    if (strcmp(settings[i]->name, name) == 0) return settings[i];
  return nullptr;
#endif
}

// ---- tree walkers: up to 15 declared without a prototype, as bool (*)()

#if PG_VERSION_NUM >= 160000
template <typename T>
auto tree_walker(bool (*walker)(T *, void *)) {
  return walker;
}
inline auto tree_mutator(Node *(*mutator)(Node *, void *)) { return mutator; }
#else
template <typename T>
auto tree_walker(bool (*walker)(T *, void *)) {
  // void (*)() is the function type that may stand for any other.
  return reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
}
inline auto tree_mutator(Node *(*mutator)(Node *, void *)) {
  return reinterpret_cast<Node *(*)()>(reinterpret_cast<void (*)()>(mutator));
}
#endif

// ---- plans

// The role whose privileges a relation of the plan is read with; InvalidOid: the current user's.
inline Oid compat_check_as_user(const PlannedStmt *plan, const RangeTblEntry *entry) {
#if PG_VERSION_NUM >= 160000
  if (entry->perminfoindex == 0) return InvalidOid;
  return getRTEPermissionInfo(plan->permInfos, const_cast<RangeTblEntry *>(entry))->checkAsUser;
#else
  (void)plan;
  return entry->checkAsUser;
#endif
}

// Is the relation one that the statement or a view names, not a child of one?
inline bool compat_is_in_query_text(const RangeTblEntry *entry) {
#if PG_VERSION_NUM >= 160000
  return entry->perminfoindex != 0;
#else
  return entry->requiredPerms != 0;
#endif
}

// By what the executor leaves out partitions below an Append or MergeAppend; null where it does not.
template <typename AppendNode>
const PartitionPruneInfo *compat_append_pruning(const PlannedStmt *plan, const AppendNode *append) {
#if PG_VERSION_NUM >= 180000
  if (append->part_prune_index < 0) return nullptr;
  return static_cast<const PartitionPruneInfo *>(list_nth(plan->partPruneInfos, append->part_prune_index));
#else
  (void)plan;
  return append->part_prune_info;
#endif
}

// The conditions by which a MERGE tells that a row is NOT MATCHED BY SOURCE, one per target; 17.
inline const List *compat_merge_conditions(const ModifyTable *plan) {
#if PG_VERSION_NUM >= 170000
  return plan->mergeJoinConditions;
#else
  (void)plan;
  return NIL;
#endif
}

// The document of XMLTABLE, or of JSON_TABLE, whose node around it has to stay as it is; 17.
inline Node **compat_document(TableFunc *function) {
#if PG_VERSION_NUM >= 170000
  if (function->functype == TFT_JSON_TABLE) return &castNode(JsonExpr, function->docexpr)->formatted_expr;
#endif
  return &function->docexpr;
}

// What JSON_TABLE was given besides its document (PASSING); 17.  Null before.
inline List **compat_passed_values([[maybe_unused]] TableFunc *function) {
#if PG_VERSION_NUM >= 170000
  return &function->passingvalexprs;
#else
  return nullptr;
#endif
}

// ---- rows

// Puts a row, which is locked, in the place of another one, and what is new of it into the indexes.  No trigger fires
// and no constraint is checked but those of indexes.
inline void compat_replace_row(ResultRelInfo *target, EState *executor, ItemPointer was, TupleTableSlot *row,
                               CommandId command) {
  TM_FailureData failure;
  LockTupleMode mode;
#if PG_VERSION_NUM >= 160000
  TU_UpdateIndexes indexes = TU_None;
#else
  bool indexes = false;
#endif
  if (table_tuple_update(target->ri_RelationDesc, was, row, command, GetActiveSnapshot(), InvalidSnapshot, true,
                         &failure, &mode, &indexes) != TM_Ok)
    elog(ERROR, "a locked row could not be replaced");
  if (target->ri_NumIndices == 0) return;
#if PG_VERSION_NUM >= 160000
  if (indexes != TU_None)
    list_free(ExecInsertIndexTuples(target, row, executor, true, false, nullptr, NIL, indexes == TU_Summarizing));
#else
  if (indexes) list_free(ExecInsertIndexTuples(target, row, executor, true, false, nullptr, NIL));
#endif
}

// Functions of a table that run for somebody else find what they name as they do in CREATE INDEX and REINDEX: from 17
// on by an empty search_path.  For the setting's nest level at hand.
inline void compat_restrict_search_path() {
#if PG_VERSION_NUM >= 170000
  RestrictSearchPath();
#endif
}

// ---- the catalog

// pg_attribute.attstattarget
inline int compat_statistics_target(Datum target) {
#if PG_VERSION_NUM >= 160000
  return DatumGetInt16(target);
#else
  return DatumGetInt32(target);
#endif
}

// ---- paths

inline bool compat_pathkey_descends(const PathKey *key) {
#if PG_VERSION_NUM >= 180000
  return key->pk_cmptype == COMPARE_GT;
#else
  return key->pk_strategy == BTGreaterStrategyNumber;
#endif
}

// The whole of a foreign table, begun at no cost.
inline ForeignPath *compat_foreign_path(PlannerInfo *root, RelOptInfo *relation, Cost total, List *pathkeys) {
#if PG_VERSION_NUM >= 180000
  return create_foreignscan_path(root, relation, nullptr, relation->rows, 0, 0, total, pathkeys, nullptr, nullptr, NIL,
                                 NIL);
#elif PG_VERSION_NUM >= 170000
  return create_foreignscan_path(root, relation, nullptr, relation->rows, 0, total, pathkeys, nullptr, nullptr, NIL,
                                 NIL);
#else
  return create_foreignscan_path(root, relation, nullptr, relation->rows, 0, total, pathkeys, nullptr, nullptr, NIL);
#endif
}

// ---- tables

// The expressions that variables of a query's GROUP BY stand for; such variables are 18's.
inline List *compat_group_expressions([[maybe_unused]] const RangeTblEntry *entry) {
#if PG_VERSION_NUM >= 180000
  return entry->rtekind == RTE_GROUP ? entry->groupexprs : NIL;
#else
  return NIL;
#endif
}

// True if any column is generated; 18 has virtual ones besides stored ones.
inline bool compat_has_generated(const TupleConstr *constraints) {
  if (constraints == nullptr) return false;
#if PG_VERSION_NUM >= 180000
  return constraints->has_generated_stored || constraints->has_generated_virtual;
#else
  return constraints->has_generated_stored;
#endif
}

// True if no row has a null in the column, by number; from 18 on NOT NULL may hold for rows written since alone.
inline bool compat_has_no_nulls(TupleDesc columns, int attno) {
#if PG_VERSION_NUM >= 180000
  return TupleDescCompactAttr(columns, attno - 1)->attnullability == ATTNULLABLE_VALID;
#else
  return TupleDescAttr(columns, attno - 1)->attnotnull;
#endif
}

// True for a constraint that rows are held to; from 18 on there are others.
inline bool compat_is_enforced([[maybe_unused]] const ConstrCheck &check) {
#if PG_VERSION_NUM >= 180000
  return check.ccenforced;
#else
  return true;
#endif
}

// True for a column that is not stored but computed by each query; 18.
inline bool compat_is_virtual(Oid relid, AttrNumber attno) {
#if PG_VERSION_NUM >= 180000
  return get_attgenerated(relid, attno) == ATTRIBUTE_GENERATED_VIRTUAL;
#else
  (void)relid;
  (void)attno;
  return false;
#endif
}

// True where COPY relation TO copies the rows of such a relation; from 18 on also a materialized view's.
inline bool compat_copies_out(char relkind) {
#if PG_VERSION_NUM >= 180000
  return relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW;
#else
  return relkind == RELKIND_RELATION;
#endif
}

inline bool compat_owns_relation(Oid relid, Oid role) {
#if PG_VERSION_NUM >= 160000
  return object_ownercheck(RelationRelationId, relid, role);
#else
  return pg_class_ownercheck(relid, role);
#endif
}

// any_value() returns one of its inputs; 16.
inline bool compat_is_any_value([[maybe_unused]] Oid aggregate) {
#if PG_VERSION_NUM >= 160000
  return aggregate == F_ANY_VALUE;
#else
  return false;
#endif
}

// pg_input_is_valid() and pg_input_error_info() call the input function of a type they are told; 16.
inline bool compat_tries_input([[maybe_unused]] Oid function) {
#if PG_VERSION_NUM >= 160000
  return function == F_PG_INPUT_IS_VALID || function == F_PG_INPUT_ERROR_INFO;
#else
  return false;
#endif
}

// The type that they are told; InvalidOid where that is known only when they run, or is none.
inline Oid compat_tried_type([[maybe_unused]] const List *arguments) {
  Oid type = InvalidOid;
#if PG_VERSION_NUM >= 160000
  const auto *name = static_cast<const Const *>(lsecond(arguments));
  ErrorSaveContext none = {};
  NodeSetTag(&none, T_ErrorSaveContext);
  std::int32_t modifier = -1;
  if (IsA(name, Const) && !name->constisnull)
    (void)parseTypeString(TextDatumGetCString(name->constvalue), &type, &modifier, reinterpret_cast<Node *>(&none));
#endif
  return type;
}

// to_regtypemod() raises notices that quote names, as to_regtype() does; 17.
inline bool compat_quotes_names([[maybe_unused]] Oid function) {
#if PG_VERSION_NUM >= 170000
  return function == F_TO_REGTYPEMOD;
#else
  return false;
#endif
}

// What ExecutorCheckPerms_hook is called with; from 16 on the permissions come apart from the tables.
#if PG_VERSION_NUM >= 160000
#define REDOUBT_PERMISSION_PARAMETERS List *tables, List *permissions, bool raise
#define REDOUBT_PERMISSION_ARGUMENTS tables, permissions, raise
#else
#define REDOUBT_PERMISSION_PARAMETERS List *tables, bool raise
#define REDOUBT_PERMISSION_ARGUMENTS tables, raise
#endif

// ---- names, JSON

// The parts of a possibly qualified name; an error where it is none.
inline List *compat_qualified_name(const char *name) {
#if PG_VERSION_NUM >= 160000
  return stringToQualifiedNameList(name, nullptr);
#else
  return stringToQualifiedNameList(name);
#endif
}

// Is it a foreign key over ranges (PERIOD)?
inline bool compat_has_period([[maybe_unused]] const FormData_pg_constraint *key) {
#if PG_VERSION_NUM >= 180000
  return key->conperiod;
#else
  return false;
#endif
}

// Is it an SQL/JSON expression?  Its function, if any, is not among those that check_functions_in_node() knows.
inline bool compat_is_sql_json([[maybe_unused]] const Node *node) {
#if PG_VERSION_NUM >= 170000
  if (IsA(node, JsonExpr)) return true;
#endif
#if PG_VERSION_NUM >= 160000
  return IsA(node, JsonConstructorExpr);
#else
  return false;
#endif
}
// What it prints or looks into.
inline List *compat_json_arguments([[maybe_unused]] const Node *node) {
#if PG_VERSION_NUM >= 170000
  if (const auto *json = reinterpret_cast<const JsonExpr *>(node); IsA(node, JsonExpr))
    return list_concat(list_make2(json->formatted_expr, json->path_spec), json->passing_values);
#endif
#if PG_VERSION_NUM >= 160000
  return reinterpret_cast<const JsonConstructorExpr *>(node)->args;
#else
  return NIL;
#endif
}

// What a JsonSemAction's scalar function returns, and that it went well.
#if PG_VERSION_NUM >= 160000
using CompatJsonResult = JsonParseErrorType;
#define REDOUBT_JSON_DONE return JSON_SUCCESS
#else
using CompatJsonResult = void;
#define REDOUBT_JSON_DONE return
#endif

// A lexer over UTF-8 text, in the current memory context.
inline JsonLexContext *compat_json_lexer(char *text, int size) {
#if PG_VERSION_NUM >= 170000
  return makeJsonLexContextCstringLen(nullptr, text, static_cast<size_t>(size), PG_UTF8, true);
#else
  return makeJsonLexContextCstringLen(text, size, PG_UTF8, true);
#endif
}

// ---- the backend

// The identity that authentication established, or null.
inline const char *compat_identity() {
#if PG_VERSION_NUM >= 160000
  return MyClientConnectionInfo.authn_id;
#else
  return MyProcPort != nullptr ? MyProcPort->authn_id : nullptr;
#endif
}

// How it did.  Up to 15 that is known while it is done alone, so somebody has to note it then.
inline constinit UserAuth compat_method_noted = uaReject;
inline UserAuth compat_identity_method() {
#if PG_VERSION_NUM >= 160000
  return MyClientConnectionInfo.auth_method;
#else
  return compat_method_noted;
#endif
}

// A process' number among all; below MaxBackends for those that run queries, -1 for none.
inline int compat_process_number(const PGPROC *process) noexcept {
  if (process == nullptr) return -1;
#if PG_VERSION_NUM >= 170000
  return GetNumberFromPGProc(process);
#else
  return process->pgprocno;
#endif
}

// A wait event of our own where there are such.  `event` keeps it; 0 at first.
inline uint32 compat_wait_event([[maybe_unused]] uint32 *event, [[maybe_unused]] const char *name) {
#if PG_VERSION_NUM >= 170000
  if (*event == 0) *event = WaitEventExtensionNew(name);
  return *event;
#else
  return PG_WAIT_EXTENSION;
#endif
}

// Memory that the settings machinery will free: the `extra` of a check hook.
inline void *compat_setting_memory(Size size) {
#if PG_VERSION_NUM >= 160000
  return guc_malloc(LOG, size);
#else
  return malloc(size);
#endif
}

// Did the postmaster take a background worker of this name while it loaded libraries?
inline bool compat_worker_is_registered(const char *name) noexcept {
  const void *const end = &BackgroundWorkerList.head;  // the list is a circle from 18 on
  for (const auto *node = BackgroundWorkerList.head.next; node != nullptr && node != end; node = node->next) {
    const char *const worker = reinterpret_cast<const char *>(node) - offsetof(RegisteredBgWorker, rw_lnode);
    if (strcmp(reinterpret_cast<const RegisteredBgWorker *>(worker)->rw_worker.bgw_name, name) == 0) return true;
  }
  return false;
}

}  // namespace redoubt::pg
#endif
