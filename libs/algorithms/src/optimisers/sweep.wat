;; Sweeps over one page of memory: four blocks of 4096 floats, at bytes 0, 16384, 32768 and 49152. Four floats at a time, in
;; single precision, as PyTorch computes them. `bytes` is the length of what is in the blocks, a multiple of 16, above 0.
(module
  (memory (export "memory") 1)

  ;; Blocks: weights, gradients, first moment, second moment. See adamw.ts for the formula.
  (func (export "adamw")
    (param $bytes i32) (param $beta1 f32) (param $share1 f32) (param $beta2 f32) (param $share2 f32)
    (param $scale f32) (param $rate f32) (param $inverseRoot f32) (param $epsilon f32) (param $keep f32)
    (local $i i32) (local $g v128) (local $m v128) (local $v v128)
    (loop $next
      (local.set $g (f32x4.mul (v128.load offset=16384 (local.get $i)) (f32x4.splat (local.get $scale))))
      (local.set $m
        (f32x4.add
          (f32x4.mul (f32x4.splat (local.get $beta1)) (v128.load offset=32768 (local.get $i)))
          (f32x4.mul (f32x4.splat (local.get $share1)) (local.get $g))))
      (local.set $v
        (f32x4.add
          (f32x4.mul (f32x4.splat (local.get $beta2)) (v128.load offset=49152 (local.get $i)))
          (f32x4.mul (f32x4.mul (f32x4.splat (local.get $share2)) (local.get $g)) (local.get $g))))
      (v128.store offset=32768 (local.get $i) (local.get $m))
      (v128.store offset=49152 (local.get $i) (local.get $v))
      (v128.store (local.get $i)
        (f32x4.sub
          (f32x4.mul (v128.load (local.get $i)) (f32x4.splat (local.get $keep)))
          (f32x4.div
            (f32x4.mul (f32x4.splat (local.get $rate)) (local.get $m))
            (f32x4.add
              (f32x4.mul (f32x4.sqrt (local.get $v)) (f32x4.splat (local.get $inverseRoot)))
              (f32x4.splat (local.get $epsilon))))))
      (local.set $i (i32.add (local.get $i) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $bytes)))))

  ;; Blocks: average, weights. average += share * (weights - average)
  (func (export "average") (param $bytes i32) (param $share f32)
    (local $i i32)
    (loop $next
      (v128.store (local.get $i)
        (f32x4.add
          (v128.load (local.get $i))
          (f32x4.mul
            (f32x4.splat (local.get $share))
            (f32x4.sub (v128.load offset=16384 (local.get $i)) (v128.load (local.get $i))))))
      (local.set $i (i32.add (local.get $i) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $bytes))))))
