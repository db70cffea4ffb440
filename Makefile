# Builds and installs the extension against the PostgreSQL that pg_config names.
# The pure core has its own build, CMakeLists.txt: unit tests, kat, fuzzers, benchmarks.
EXTENSION = redoubt
ifndef srcdir
srcdir = .
endif

MODULE_big = redoubt
DATA = sql/redoubt--0.1.sql sql/redoubt--0.1--0.2.sql
SCRIPTS = bin/redoubt-check bin/redoubt-verify-audit bin/redoubt-protect
DOCS =
OBJS = $(patsubst $(srcdir)/%.cpp,%.o,$(sort $(wildcard $(srcdir)/src/core/*.cpp $(srcdir)/src/pg/*/*.cpp)))

PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_srcdir) -DOPENSSL_NO_DEPRECATED -DREDOUBT_VERSION='"$(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(srcdir)/redoubt.control)"'
# For size; what runs once a value is compiled for speed, see FAST.
OPTIMIZE ?= -Os
OPTIMIZE_FAST ?= -O2 -fno-align-functions -fno-align-jumps -fno-align-loops
# Warnings are errors where the tests build (WERROR=-Werror), not where a later compiler finds new ones.
PG_CXXFLAGS = -std=c++20 $(OPTIMIZE) -Wall -Wextra $(WERROR) -Wno-register -Wno-volatile -Wno-unused-parameter \
              -fvisibility=hidden -fvisibility-inlines-hidden -ffunction-sections -fdata-sections -MMD -MP
# Some of these flags, and of those that PostgreSQL was built with, only g++ knows.
ifneq ($(findstring clang,$(CXX)),)
PG_CXXFLAGS += -Wno-unknown-warning-option -Wno-deprecated-volatile -Wno-ignored-optimization-argument -Wno-ignored-attributes
endif
SHLIB_LINK_INTERNAL = $(libpq)
SHLIB_LINK = -lstdc++ -lcrypto -lz -Wl,--gc-sections -Wl,-z,noseparate-code -Wl,--sort-section=alignment
EXTRA_CLEAN = $(OBJS:.o=.d) redoubt.so.debug faulty

# Every test but the servers that need another configuration, which are test/tap.
REGRESS = $(filter-out redoubt--%,$(patsubst $(srcdir)/sql/%.sql,%,$(sort $(wildcard $(srcdir)/sql/*.sql))))
REGRESS_OPTS = --dbname=contrib_regression
ISOLATION = $(patsubst $(srcdir)/test/isolation/specs/%.spec,%,$(sort $(wildcard $(srcdir)/test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation --outputdir=output_iso
TAP_TESTS = 1
PROVE_TESTS = test/tap/*.pl


PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
# PGXS emits LLVM bitcode without PG_CXXFLAGS, and this library gains nothing from being inlined by the JIT.
override with_llvm = no
include $(PGXS)

# PostgreSQL 16 made hidden visibility the default and PGDLLEXPORT its exception.
ifeq ($(shell test $(MAJORVERSION) -lt 16 && echo old), old)
override CPPFLAGS += -DPGDLLEXPORT='__attribute__((visibility("default")))'
endif

# What runs once a value or a row, or in every plan; the rest runs once a command, a type or a lease.
FAST = base/delivery base/plaintext limits/lease. limits/limit_statement limits/limit_window limits/throttled_sessions \
  meter/meter_function meter/plan_cache meter/read_meter plan/expressions plan/flow plan/meter_node plan/plain_query protect/protected_columns reveal/disclosure reveal/gate \
  tokens/fpe_value tokens/mask_letter tokens/token_array tokens/token_io tokens/token_value types/token_compare types/token_family
FAST_CORE = aes base64url email. ff1 format_alphabet format_batch format_cipher format_email. format_letters format_name \
  format_template gcra mac mask siv token unicode_text
$(filter $(FAST:%=src/pg/%%) $(FAST_CORE:%=src/core/%%), $(OBJS)): override CXXFLAGS += $(OPTIMIZE_FAST)

# Other flags make other objects.
$(OBJS): $(srcdir)/Makefile

-include $(OBJS:.o=.d)

# The installed library is a twentieth of what is built: its debug symbols are left in redoubt.so.debug, which a
# debugger takes where it lies beside the library (make install-debug).  Whoever makes packages and strips libraries
# himself says STRIP_LIBRARY=no.
STRIP_LIBRARY ?= yes
OBJCOPY ?= objcopy
installed_library = $(DESTDIR)$(pkglibdir)/redoubt.so

redoubt.so.debug: redoubt.so
	$(OBJCOPY) --only-keep-debug $< $@

ifeq ($(STRIP_LIBRARY), yes)
install: install-stripped
endif
install-stripped: install-lib redoubt.so.debug
	$(OBJCOPY) --strip-unneeded --add-gnu-debuglink=redoubt.so.debug '$(installed_library)'
install-debug: redoubt.so.debug
	$(INSTALL_DATA) $< '$(installed_library).debug'
.PHONY: install-stripped install-debug

# The library that throws where it is told to, for test/tap/faults.pl: what gives PostgreSQL a function is compiled
# anew with the points where it may throw (test/faults), the rest is linked as it is.
FAULTY = $(patsubst $(srcdir)/%.cpp,%.o,$(shell grep -l -E 'shielded<|REDOUBT_WORKER' $(srcdir)/src/pg/*/*.cpp))
faulty/redoubt.so: $(patsubst %,faulty/%,$(FAULTY)) faulty/test/faults/faults.o $(filter-out $(FAULTY),$(OBJS))
	$(CC) $(CFLAGS) $(CFLAGS_SL) -shared -o $@ $^ $(LDFLAGS) $(SHLIB_LINK_INTERNAL) $(SHLIB_LINK)
faulty/%.o: $(srcdir)/%.cpp $(srcdir)/test/faults/fault_point.h
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -O1 -g0 $(CPPFLAGS) -include $(srcdir)/test/faults/fault_point.h -c -o $@ $<
-include $(patsubst %.o,faulty/%.d,$(FAULTY)) faulty/test/faults/faults.d

# The release as PGXN takes it: the last commit, without what .gitattributes leaves out.
DIST_VERSION = $(shell sed -n 's/^  "version": "\(.*\)",/\1/p' $(srcdir)/META.json)
dist:
	git -C $(srcdir) archive --format=zip --prefix=redoubt-$(DIST_VERSION)/ -o $(CURDIR)/redoubt-$(DIST_VERSION).zip HEAD

.PHONY: dist
