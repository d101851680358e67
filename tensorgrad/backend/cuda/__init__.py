"""CuPy: the way to its arrays and devices, and kernels as CUDA text."""

from tensorgrad.backend.cuda import attention_kernels as attention_kernels
from tensorgrad.backend.cuda import contraction_kernels as contraction_kernels
from tensorgrad.backend.cuda import convolution_kernels as convolution_kernels
from tensorgrad.backend.cuda import index_kernels as index_kernels
from tensorgrad.backend.cuda import normalization_kernels as normalization_kernels
from tensorgrad.backend.cuda import pooling_kernels as pooling_kernels
from tensorgrad.backend.cuda import product_kernels as product_kernels
from tensorgrad.backend.cuda import random_kernels as random_kernels
from tensorgrad.backend.cuda import recurrent_kernels as recurrent_kernels
from tensorgrad.backend.cuda import sampling_kernels as sampling_kernels
from tensorgrad.backend.cuda import softmax_kernels as softmax_kernels
from tensorgrad.backend.cuda import update_kernels as update_kernels
from tensorgrad.backend.cuda import window_kernels as window_kernels
