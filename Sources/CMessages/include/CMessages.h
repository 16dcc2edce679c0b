#include "checkpoint.pb-c.h"
#include "warmstart.pb-c.h"
