#include "warmstart.pb-c.h"
#include "descriptor_set.h"
