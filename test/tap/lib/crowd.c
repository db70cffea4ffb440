/*
 * crowd.c - a neighbour for test/tap/neighbours.pl: a library that takes the callback slots that a big extension
 * takes, and a function of C that puts its argument into an internal error, as careless ones do.  With crowd.hide it
 * runs each SELECT in a custom scan of its own, of whose target list the plan says nothing, as distributed engines do.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "optimizer/tlist.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/syscache.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(crowd_shout);
void _PG_init(void);

static void relation_changed(Datum argument, Oid relid) {}
static void catalog_changed(Datum argument, int cache, uint32 hash) {}

static bool hide = false;
static bool takes_slots = true;
static planner_hook_type previous = NULL;

static void
hidden_begin(CustomScanState *node, EState *estate, int eflags)
{
	CustomScan *scan = (CustomScan *) node->ss.ps.plan;

	node->custom_ps = list_make1(ExecInitNode((Plan *) linitial(scan->custom_private), estate, eflags));
}

static TupleTableSlot *
hidden_next(CustomScanState *node)
{
	TupleTableSlot *below = ExecProcNode((PlanState *) linitial(node->custom_ps));

	if (TupIsNull(below))
		return NULL;
	ExecCopySlot(node->ss.ss_ScanTupleSlot, below);
	node->ss.ps.ps_ExprContext->ecxt_scantuple = node->ss.ss_ScanTupleSlot;
	ResetExprContext(node->ss.ps.ps_ExprContext);
	return node->ss.ps.ps_ProjInfo ? ExecProject(node->ss.ps.ps_ProjInfo) : node->ss.ss_ScanTupleSlot;
}

static void
hidden_end(CustomScanState *node)
{
	ExecEndNode((PlanState *) linitial(node->custom_ps));
}

static void
hidden_again(CustomScanState *node)
{
	ExecReScan((PlanState *) linitial(node->custom_ps));
}

static const CustomExecMethods hidden_exec = {
	.CustomName = "Hidden", .BeginCustomScan = hidden_begin, .ExecCustomScan = hidden_next,
	.EndCustomScan = hidden_end, .ReScanCustomScan = hidden_again
};

static Node *
hidden_state(CustomScan *scan)
{
	CustomScanState *state = (CustomScanState *) newNode(sizeof(CustomScanState), T_CustomScanState);

	state->methods = &hidden_exec;
	return (Node *) state;
}

static const CustomScanMethods hidden_scan = {.CustomName = "Hidden", .CreateCustomScanState = hidden_state};

static PlannedStmt *
hide_plan(Query *query, const char *text, int options, ParamListInfo parameters)
{
	PlannedStmt *statement = (previous ? previous : standard_planner) (query, text, options & ~CURSOR_OPT_PARALLEL_OK, parameters);
	Plan	   *plan = statement->planTree;
	CustomScan *scan;
	RangeTblEntry *entry;
	ListCell   *cell;

	/* Expressions of PL/pgSQL are plans of one Result. */
	if (!hide || statement->commandType != CMD_SELECT || (IsA(plan, Result) && outerPlan(plan) == NULL))
		return statement;
	entry = makeNode(RangeTblEntry);
	entry->rtekind = RTE_FUNCTION;
	entry->eref = makeAlias("hidden", NIL);
	statement->rtable = lappend(statement->rtable, entry);
	scan = makeNode(CustomScan);
	scan->methods = &hidden_scan;
	scan->custom_private = list_make1(plan);
	scan->scan.plan.plan_node_id = 1000000;
	scan->scan.plan.plan_rows = plan->plan_rows;
	scan->scan.plan.plan_width = plan->plan_width;
	foreach(cell, plan->targetlist)
	{
		TargetEntry *above = flatCopyTargetEntry(lfirst(cell));
		TargetEntry *column = flatCopyTargetEntry(lfirst(cell));
		Var		   *variable = makeVarFromTargetEntry(INDEX_VAR, column);

		above->expr = (Expr *) variable;
		variable = copyObject(variable);
		variable->varno = list_length(statement->rtable);
		column->expr = (Expr *) variable;
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist, above);
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist, column);
	}
	statement->planTree = (Plan *) scan;
	return statement;
}

void
_PG_init(void)
{
	DefineCustomBoolVariable("crowd.hide", "Runs each SELECT in a custom scan.", NULL, &hide, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("crowd.takes_slots", "Takes the slots of callbacks.", NULL, &takes_slots, true, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	RegisterCustomScanMethods(&hidden_scan);
	previous = planner_hook;
	planner_hook = hide_plan;
	if (!takes_slots)
		return;
	for (int i = 0; i < 5; i++)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	/* PostgreSQL 18 takes more of the 64 itself. */
	for (int i = 0; i < (PG_VERSION_NUM >= 180000 ? 10 : 30); i++)
		CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
}

Datum
crowd_shout(PG_FUNCTION_ARGS)
{
	elog(ERROR, "bad value %s", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_NULL();
}
