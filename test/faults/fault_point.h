// fault_point.h - what the test build puts at the entrance of every function that PostgreSQL is given a pointer to.
//
// Included before everything else in the objects of faulty/redoubt.so (Makefile); see faults.cpp.
#ifndef REDOUBT_TEST_FAULTS_FAULT_POINT_H
#define REDOUBT_TEST_FAULTS_FAULT_POINT_H

namespace redoubt::pg {
// `where` is the compiler's description of the function.
void fault_point(const char *where);
}  // namespace redoubt::pg

#define REDOUBT_FAULT_POINT(where) ::redoubt::pg::fault_point(where)

#endif
