// Maps that TensorFlow 2.21 resolved, one a line: variables of the store | partitioned variables, cut
// in two | pairs | what it assigned, or what it raised. All tensors and variables are of shape [2].

/// The names of the checkpoint's tensors.
let tensorFlowTensors =
  "v w sc a b sub/c n/a n/b sc/a sc/b sc/sub/c sc/n/a sc/é é x x/a p sc/p sc/x"

/// The maps, drawn at random from names that meet the odd rules.
let tensorFlowCases = """
  n/b x |  | sc/é> | !SCOPE_ONLY
  x/part_x w | x p | sc//>// | 
   |  | sc/é>// | !SCOPE_ONLY
   | p x | sc/>n/zz n/a>é sc/>p | !SCOPE_ONLY
   | x n/p | sc>x/part_0/ x/>n/zz | !SCOPE_ONLY
  n//a n/sub/c |  | n/a>/a sc/a>n/n/ x/>x/part_0/ | !SCOPE_ONLY
   | p n/a | sc/sub/>n// | 
  éa / x/part_x | n/p | >p | !SCOPE_ONLY
   | n/p n/a | p>zz/ sc/p>p/ | !SCOPE_ONLY
   |  | sc//>x p>x/ sc/sub/>// | !SCOPE_ONLY
  a n/a/part_1 sc/a | a | sc/>n/a | !INVALID_REQUEST
  é x n/é |  | x>x x/>a/ | x=x
  n//a sc/a x/a | a | v>x/ n/>x | !TENSOR_NOT_FOUND n
  n_1/a |  | sc/sub/>n/zz | 
  sc/a | p | sc//>x/part_0/ | 
  n/a/part_1 x/part_x | x | sc/>zz/ sc/é>é //>é | !TENSOR_NOT_FOUND ///a
  n/a /a x |  | n/>sc/ | 
   | n/a | n/>sc/ | 
  n/b sc/a n/é | n/p n/x | x/>a/ | 
  /a n/a/part_1 é |  | x/>n/x/ | 
  n_1/a n/n/a n/ | n/p | />n/p | !TENSOR_NOT_FOUND /
   | a | n/>n// | 
   | a | sc/sub/>x | !TENSOR_NOT_FOUND sc/sub
  éa a x | n/x | >x | !TENSOR_NOT_FOUND 
  n/b n//a | x p | x/>p/part_1 | !TENSOR_NOT_FOUND x/
  x/a |  | />n/p | 
   | p n/p | é>x/part_0/ sc/sub/> sc/é>n/ | !TENSOR_NOT_FOUND sc/sub//p
  / |  | x/>é zz/>n/x/ | /=x
  v éa | n/x a | //>n/x/ | !TENSOR_NOT_FOUND /
  n/ a |  | x/>n | !TENSOR_NOT_FOUND x/
  x/a |  | />/a | !TENSOR_NOT_FOUND /a
  n//a x/a | n/a | sc/>p/part_1 | 
  n/a |  | sc/>x | !TENSOR_NOT_FOUND sc//a
  sc/a | p | sc/>/ | !TENSOR_NOT_FOUND sc/sc/a
   | n/a x | sc/sub/>p zz/> sc//>n// | !TENSOR_NOT_FOUND sc/sub//a
   | n/x | sc/>n | !TENSOR_NOT_FOUND sc//x
  x a | n/p | sc/a>p é>/ n/>n/p | !TENSOR_NOT_FOUND n/
   | a x | />n/ | 
  n/é |  | zz/>x/part_0/ sc/>/a | !TENSOR_NOT_FOUND sc//é
   | p n/x | n/>n/p | !TENSOR_NOT_FOUND n/x
  n/n/a |  | sc/sub/>é n/>a/ | !TENSOR_NOT_FOUND sc/sub//n/a
   | p | zz/>n | !TENSOR_NOT_FOUND zz
  n/ | n/p | é>n/p | n/p/part_0=é@0,1 n/p/part_1=é@1,1
   | x | sc/sub/>é />x | !TENSOR_NOT_FOUND /
  n_1/a | n/x | p>sc/ x>// />/a | !TENSOR_NOT_FOUND /x
  x/part_x /a v |  | é>zz/ zz/>p | !TENSOR_NOT_FOUND zz/a
  n/b sc/a | a n/x | x/>n | !TENSOR_NOT_FOUND x//b
  n/ x/part_x |  | w>p />/ | !TENSOR_NOT_FOUND n
  n//a |  | sc//>/a | !TENSOR_NOT_FOUND sc////a
  w v |  | sc//>n w>p | !TENSOR_NOT_FOUND sc/
  a n/é | p | sc/a>é x>n/a sc//>n | !TENSOR_NOT_FOUND sc/
  éa | a | />/a sc//>p | !TENSOR_NOT_FOUND 
  / x sc/a | n/x | sc/sub/>x | !TENSOR_NOT_FOUND sc/sub/
  / n/é | p n/a | //>x | !TENSOR_NOT_FOUND /
  é | x n/p | //>n/p | !TENSOR_NOT_FOUND //
  n/ | x p | sc/> />a/ | !TENSOR_NOT_FOUND sc/
  n/n/a v x/a |  | x/>n //>n/zz | !TENSOR_NOT_FOUND //n/a
  n/ |  | x/>é | !TENSOR_NOT_FOUND x/
  n/n/a é n/b |  | p>n/ //>n | !TENSOR_NOT_FOUND ///b
  n_1/a | n/x n/a | sc/sub/>x | !TENSOR_NOT_FOUND sc/sub//a
  n/ a |  | //>/a sc>/ n/>p/ | !TENSOR_NOT_FOUND /
  é x/part_x | a | sc/>p | !INVALID_REQUEST
  n/a n/ | n/a | sc//>n/zz | !TENSOR_NOT_FOUND sc/
  /a n/a |  | sc/a>n/a | n/a=sc/a
   | n/a x | n/a>n/a | n/a/part_0=n/a@0,1 n/a/part_1=n/a@1,1
  x/a n/sub/c | p | x>p | p/part_0=x@0,1 p/part_1=x@1,1
   | n/p | />n/ | n/p/part_0=p@0,1 n/p/part_1=p@1,1
  x/a n/a/part_1 |  | />n/p | !INVALID_REQUEST
  n/a/part_1 |  | x/>n/a | !INVALID_REQUEST
  n/é x | a | w>x | x=w
  n/sub/c n/b | n/p n/x | n/a>n/p | n/p/part_0=n/a@0,1 n/p/part_1=n/a@1,1
  sc/a | n/p | é>n/p | n/p/part_0=é@0,1 n/p/part_1=é@1,1
  x/a | a p | sc/p>p | p/part_0=sc/p@0,1 p/part_1=sc/p@1,1
  n/é | a n/x | sc/>n/x/ | n/x/part_0=sc@0,1 n/x/part_1=sc@1,1
  n//a é n/a/part_1 | a | w>é sc//>n/x/ | é=w
  é | n/p a | v>n/p | n/p/part_0=v@0,1 n/p/part_1=v@1,1
  n/a/part_1 n/é |  | //>n/n/ sc/>n/a | !INVALID_REQUEST
  n/b |  | x/>zz/ x/>sc/ n/>n/ | n/b=n/b
  x | n/p | x>x | x=x
   | n/x | />n/ | n/x/part_0=x@0,1 n/x/part_1=x@1,1
  n/é a | p n/x | sc/a>p/part_1 | !SHAPE_MISMATCH
  é |  | zz/>a/ x/> | é=x
  n/sub/c sc/a |  | sc/>n/p | n/sub/c=sc/sub/c
  w v n_1/a | n/p p | sc/>n/ | n/p/part_0=sc/p@0,1 n/p/part_1=sc/p@1,1
   | n/p p | sc/a>p/part_1 | !SHAPE_MISMATCH
   | a n/p | sc/é>n/p | n/p/part_0=sc/é@0,1 n/p/part_1=sc/é@1,1
  é / | p | sc/a>p | p/part_0=sc/a@0,1 p/part_1=sc/a@1,1
  n/a | n/a n/x | x>n/a | n/a=x
  / éa n/ | x n/p | sc>n/ | n/=sc
   | p n/x | sc/>p/ | p/part_0=sc@0,1 p/part_1=sc@1,1
  v |  | x/>x | v=x
  éa v | n/p | é>n/p | n/p/part_0=é@0,1 n/p/part_1=é@1,1
  n/n/a n/a/part_1 n//a | p n/x | x/>n/x/ | n/x/part_0=x@0,1 n/x/part_1=x@1,1
   | p | x/>é | p/part_0=x@0,1 p/part_1=x@1,1
  / n/sub/c n/a | p | n/a>/ | /=n/a
  n/a/part_1 n/b n/a | p n/x | v>p/part_1 x/>n/zz | !SHAPE_MISMATCH
  sc/a | n/a | />/ | n/a/part_0=n/a@0,1 n/a/part_1=n/a@1,1 sc/a=sc/a
   | n/a p | x/>n/zz | n/a/part_0=x/a@0,1 n/a/part_1=x/a@1,1
   | n/a x | sc/>x/ | x/part_0=sc@0,1 x/part_1=sc@1,1
  n/n/a sc/a | x a | w>x sc/sub/>x/part_0/ | x/part_0=w@0,1 x/part_1=w@1,1
  n_1/a | x n/x | x/>n/x/ | n/x/part_0=x@0,1 n/x/part_1=x@1,1
  / x/part_x x | a n/x | sc/>n/zz | n/x/part_0=sc/x@0,1 n/x/part_1=sc/x@1,1
  n/b é | x | n/>n/zz | n/b=n/b
   | p | x>p/part_1 | !SHAPE_MISMATCH
   | n/p | é>n/p | n/p/part_0=é@0,1 n/p/part_1=é@1,1
   | x p | n/a>p | p/part_0=n/a@0,1 p/part_1=n/a@1,1
  n/n/a n/sub/c n_1/a | n/a | />n/p | n/a/part_0=a@0,1 n/a/part_1=a@1,1 n/n/a=n/a n/sub/c=sub/c
  w a é | n/x | sc/>n/a | n/x/part_0=sc/x@0,1 n/x/part_1=sc/x@1,1
  é n/a/part_1 | p | sc/a>p/part_1 | !SHAPE_MISMATCH
   | n/a | />p/part_1 />n/ | n/a/part_0=a@0,1 n/a/part_1=a@1,1
  n/a/part_1 sc/a | n/p | n/>n/a sc/>/ | !INVALID_REQUEST
  x/a v a | p | x/>x/ | x/a=x/a
   | p | sc/é>p/part_1 | !SHAPE_MISMATCH
  n/a/part_1 x n//a | p | x>p/part_1 | !SHAPE_MISMATCH
  n/b /a |  | w>/a //>n// | /a=w
  n/a n/b w | a | n/>n/p | n/a=n/a n/b=n/b
  / | p | é>sc/ sc/p>p/part_1 | !SHAPE_MISMATCH
  n_1/a a | n/a | x>n/a | n/a/part_0=x@0,1 n/a/part_1=x@1,1
  x n/a /a | p | x>p | p/part_0=x@0,1 p/part_1=x@1,1
  éa v / | n/a | sc/a>/ n/>x/part_0/ | /=sc/a
   | n/a a | sc/p>n/a | n/a/part_0=sc/p@0,1 n/a/part_1=sc/p@1,1
   | p x | sc/é>n/p sc/a>p/part_1 | !SHAPE_MISMATCH
  x | n/a n/x | w>x | x=w
  n/a/part_1 |  | />/ | !INVALID_REQUEST
  sc/a / | p | n/>x/ sc>/ | /=sc
  /a x/part_x n/b | x | sc/>n/zz | n/b=sc/b
  sc/a | n/x n/p | x/>n/x/ | n/x/part_0=x@0,1 n/x/part_1=x@1,1
  /a |  | sc/>n | /a=sc/a
  / | n/a | é>n/a | n/a/part_0=é@0,1 n/a/part_1=é@1,1
  é | p | sc/>/ | p/part_0=sc/p@0,1 p/part_1=sc/p@1,1 é=sc/é
  /a n_1/a | a n/a | x>/a />sc/ | /a=x
  n/ n/b é | n/p | x>n/p | n/p/part_0=x@0,1 n/p/part_1=x@1,1
  x x/a | n/a n/x | é>n/a | n/a/part_0=é@0,1 n/a/part_1=é@1,1
  n/n/a | p | sc>p/part_1 | !SHAPE_MISMATCH
  n/a é n/sub/c | x | w>n/a | n/a=w
  x x/a | x n/p | sc/>x/ | x=sc x/a=sc/a
  éa | n/p | w>n/p | n/p/part_0=w@0,1 n/p/part_1=w@1,1
  n/b n/ | n/a | sc/é>n/ | n/=sc/é
  n/sub/c n/é n/b | a p | sc>p/part_1 | !SHAPE_MISMATCH
   | n/a | />n/ | n/a/part_0=a@0,1 n/a/part_1=a@1,1
  w n/é n/a | p | n/a>p é>n/a //>a/ | n/a=é p/part_0=n/a@0,1 p/part_1=n/a@1,1
  /a | p n/p | />n/zz | n/p/part_0=p@0,1 n/p/part_1=p@1,1
  n//a | p | zz/>n/a sc>p/part_1 | !SHAPE_MISMATCH
  n//a n/sub/c | n/a | v>n/a | n/a/part_0=v@0,1 n/a/part_1=v@1,1
  n/b é n/a |  | />n/zz | n/a=a n/b=b
  v | n/p | sc//>x/ />n/a | n/p/part_0=p@0,1 n/p/part_1=p@1,1
  n/a n_1/a | n/p | n/a>n/a | n/a=n/a
  é n/a/part_1 |  | />n/zz sc/p>p/part_1 sc/é>/ | !INVALID_REQUEST
  n_1/a | n/p a | x>n/p | n/p/part_0=x@0,1 n/p/part_1=x@1,1
  x/part_x n/n/a | n/a | sc/p>n/a | n/a/part_0=sc/p@0,1 n/a/part_1=sc/p@1,1
  """
