// fault_point.h - what the test build puts at the entrance of every function that PostgreSQL is given a pointer to.
//
// Included before everything else in the objects of faulty/redoubt.so (Makefile); see faults.cpp.
#ifndef REDOUBT_TEST_FAULTS_FAULT_POINT_H
#define REDOUBT_TEST_FAULTS_FAULT_POINT_H

namespace redoubt::pg {

// Throws what was ordered for the function that `where` describes: before the function runs; but after it where it must
// not fail, since what it takes out of a list would stay in there.
class FaultPoint {
 public:
  explicit FaultPoint(const char *where);
  ~FaultPoint() noexcept(false);
  FaultPoint(const FaultPoint &) = delete;
  FaultPoint &operator=(const FaultPoint &) = delete;

 private:
  bool due_;
};

}  // namespace redoubt::pg

#define REDOUBT_FAULT_POINT(where) \
  const ::redoubt::pg::FaultPoint fault_point { where }

#endif
