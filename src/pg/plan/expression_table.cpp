// plan/expression_table.cpp - see plan/expression_table.h.
//
// Where PostgreSQL's versions differ, a row stands under the version's number.
// Covered by test/metering.
#include "pg/base/boundary.h"

#include "pg/plan/expression_table.h"
#include "pg/plan/walk.h"

namespace redoubt::pg {
namespace {

#define AT REDOUBT_MEMBER

constexpr auto leaf = Combine::leaf;
constexpr auto value = Combine::value;
constexpr auto all = Combine::all;
constexpr auto in_turn = Combine::in_turn;
constexpr auto transfer = Combine::transfer;
constexpr bool quoted = true;

// clang-format off
constexpr ExpressionKind kKinds[] = {
    {.tag = T_Const, .combine = leaf},
    {.tag = T_GroupingFunc, .combine = leaf},  // says which grouping set the row is of, and evaluates nothing
    {.tag = T_Var, .combine = transfer, .quoted = quoted, .transfer = variable_flow},
    {.tag = T_Param, .combine = transfer, .quoted = quoted, .transfer = parameter_flow},
    {.tag = T_CaseTestExpr, .combine = transfer, .transfer = case_test_flow},
    // wrappers
    {.tag = T_RelabelType, .combine = value, .part = {AT(RelabelType, arg)}},
    {.tag = T_CollateExpr, .combine = value, .part = {AT(CollateExpr, arg)}},
    {.tag = T_TargetEntry, .combine = value, .part = {AT(TargetEntry, expr)}},
    {.tag = T_WithCheckOption, .combine = value, .part = {AT(WithCheckOption, qual)}},
    // calls
    {.tag = T_FuncExpr, .combine = transfer, .quoted = quoted, .transfer = function_flow},
    {.tag = T_OpExpr, .combine = transfer, .quoted = quoted, .transfer = operator_flow},
    {.tag = T_DistinctExpr, .combine = transfer, .transfer = operator_flow},
    {.tag = T_ScalarArrayOpExpr, .combine = transfer, .transfer = operator_flow},
    {.tag = T_NullIfExpr, .combine = transfer, .transfer = null_if_flow},
    {.tag = T_CoerceViaIO, .combine = transfer, .quoted = quoted, .transfer = io_cast_flow},
    {.tag = T_CoerceToDomain, .combine = transfer, .transfer = domain_flow},
    {.tag = T_ArrayCoerceExpr, .combine = transfer, .transfer = array_coerce_flow},
    {.tag = T_Aggref, .combine = transfer, .transfer = aggregate_flow},
    {.tag = T_WindowFunc, .combine = transfer, .transfer = window_flow},
    {.tag = T_SubPlan, .combine = transfer, .transfer = subplan_flow},
    {.tag = T_XmlExpr, .combine = transfer, .quoted = quoted, .transfer = xml_flow},
    {.tag = T_TableFunc, .combine = transfer, .transfer = table_flow},
    // conditions
    {.tag = T_BoolExpr, .combine = in_turn, .part = {AT(BoolExpr, args)}},
    {.tag = T_NullTest, .combine = transfer, .transfer = null_test_flow},
    {.tag = T_RowCompareExpr, .combine = transfer, .transfer = row_compare_flow},
    {.tag = T_CaseExpr, .combine = transfer, .transfer = case_flow},
    {.tag = T_CoalesceExpr, .combine = Combine::first_of, .part = {AT(CoalesceExpr, args)}},
    {.tag = T_MinMaxExpr, .combine = Combine::one_of, .part = {AT(MinMaxExpr, args)}},
    // parts of rows and arrays
    {.tag = T_FieldSelect, .combine = transfer, .transfer = field_flow},
    {.tag = T_SubscriptingRef, .combine = in_turn,  // subscripts of null are not computed
     .part = {AT(SubscriptingRef, refexpr), AT(SubscriptingRef, refupperindexpr), AT(SubscriptingRef, reflowerindexpr),
              AT(SubscriptingRef, refassgnexpr)},
     .transfer = subscript_flow},
    // the rest
    {.tag = T_List, .combine = all},
    {.tag = T_AlternativeSubPlan, .combine = all},
    {.tag = T_ArrayExpr, .combine = all, .quoted = quoted},
    {.tag = T_BooleanTest, .combine = all},
    {.tag = T_CaseWhen, .combine = all},
    {.tag = T_CoerceToDomainValue, .combine = all},
    {.tag = T_ConvertRowtypeExpr, .combine = all},
    {.tag = T_CurrentOfExpr, .combine = all},
    {.tag = T_FieldStore, .combine = all},
    {.tag = T_InferenceElem, .combine = all},
    {.tag = T_NamedArgExpr, .combine = all},
    {.tag = T_NextValueExpr, .combine = all},
    {.tag = T_PlaceHolderVar, .combine = all},
    {.tag = T_RowExpr, .combine = all, .quoted = quoted},
    {.tag = T_SQLValueFunction, .combine = all},
    {.tag = T_SetToDefault, .combine = all},
    {.tag = T_TableSampleClause, .combine = all},
#if PG_VERSION_NUM >= 160000
    {.tag = T_JsonValueExpr, .combine = Combine::one_of,  // two forms of one value
     .part = {AT(JsonValueExpr, raw_expr), AT(JsonValueExpr, formatted_expr)}},
    {.tag = T_JsonConstructorExpr, .combine = transfer,
     .part = {AT(JsonConstructorExpr, args), AT(JsonConstructorExpr, func), AT(JsonConstructorExpr, coercion)},
     .transfer = json_flow},
    {.tag = T_JsonIsPredicate, .combine = transfer, .part = {AT(JsonIsPredicate, expr)}, .transfer = json_flow},
#endif
#if PG_VERSION_NUM >= 170000
    {.tag = T_JsonExpr, .combine = transfer,
     .part = {AT(JsonExpr, formatted_expr), AT(JsonExpr, path_spec), AT(JsonExpr, passing_values),
              AT(JsonExpr, on_empty), AT(JsonExpr, on_error)},
     .transfer = json_query_flow},
    {.tag = T_JsonBehavior, .combine = value, .part = {AT(JsonBehavior, expr)}},  // the server refuses columns in it
    {.tag = T_MergeSupportFunc, .combine = leaf},
#endif
#if PG_VERSION_NUM >= 180000
    {.tag = T_ReturningExpr, .combine = value, .part = {AT(ReturningExpr, retexpr)}},
#endif
};
// clang-format on

constexpr TagTable kTable(kKinds);

}  // namespace

const ExpressionKind *expression_kind(const Node *node) noexcept { return kTable.find(nodeTag(node)); }

}  // namespace redoubt::pg
