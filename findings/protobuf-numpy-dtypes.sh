#!/bin/sh
# Packages: protobuf 6.33.2 and 7.36.2, numpy 2.4.6
# Guess:    numpy.array(message.field) has the dtype of the repeated field, with every version.
# Seen:     It has from 7.34 on. With 6.33 the dtype comes from the values: an empty field is
#           float64, int32 and uint64 are int64, and uint64 values beyond 2**63 beside small ones
#           are float64 and lose their last digits.
# Source:   protocolbuffers/protobuf#10930 asked for what 7.34 does; the dtypes are not mentioned.
# Do:       Give the dtype: numpy.array(message.field, numpy.uint64).
. "$(dirname "$0")/lib/finding.sh"
for version in 6.33.2 7.36.2; do
  echo "protobuf $version"
  packages "protobuf==$version" numpy==2.4.6
  export version
  python <<'END'
import os
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from finding import see

file = descriptor_pb2.FileDescriptorProto(name="columns.proto", syntax="proto3")
fields = file.message_type.add(name="Columns").field
for number, name in enumerate(("int32", "uint64", "float"), start=1):
    fields.add(name=name, number=number, label="LABEL_REPEATED", type=f"TYPE_{name.upper()}")
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Columns = message_factory.GetMessageClass(pool.FindMessageTypeByName("Columns"))

old = os.environ["version"].startswith("6")
columns = Columns(int32=[1], uint64=[7, 2**63 + 1])
see("empty float", str(np.array(columns.float).dtype), "float64" if old else "float32")
see("int32", str(np.array(columns.int32).dtype), "int64" if old else "int32")
values = np.array(columns.uint64)
see("uint64", str(values.dtype), "float64" if old else "uint64")
see("the last value is right", int(values[1]) == 2**63 + 1, not old)
exact = np.array(columns.uint64, np.uint64)
see("with a dtype, the last value is right", int(exact[1]) == 2**63 + 1)
END
done
