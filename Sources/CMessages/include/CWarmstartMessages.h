#include "checkpoint.pb-c.h"
#include "object_graph.pb-c.h"
#include "warmstart.pb-c.h"
#include "descriptor_set.h"
